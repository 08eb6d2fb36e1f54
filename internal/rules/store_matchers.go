package rules

import (
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const (
	matcherColumns = policyColumns + `, p.action, p.client_ip, p.app, p.model`
	isMatcher      = `p.kind = '` + kindMatcher + `'`
)

func scanMatcher(row sqldb.Scanner) (m Matcher, err error) {
	err = row.Scan(append(m.columns(), &m.Action, &m.ClientIP, &m.App, &m.Model)...)
	return m, err
}

var matcherTable = listing.Table[Matcher]{
	Columns: matcherColumns,
	From:    "policy p",
	PK:      "p.pk",
	Text:    "p.name",
	Exact: [][2]string{
		{"policy_uuid", "p.pk"}, {"name", "p.name"}, {"action", "p.action"},
		{"client_ip", "p.client_ip"}, {"app", "p.app"}, {"model", "p.model"},
	},
	Orders: map[string]string{
		"pk":                "p.pk",
		"name":              "p.name",
		"execution_logging": "p.execution_logging",
		"action":            "COALESCE(p.action, '')",
		"client_ip":         "COALESCE(p.client_ip, '')",
		"app":               "COALESCE(p.app, '')",
		"model":             "COALESCE(p.model, '')",
	},
	Scan: scanMatcher,
}

// listMatchers reads the page that q asks for.
func listMatchers(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Matcher], error) {
	var where sqldb.Where
	where.Add(isMatcher)
	filterPolicies(q, &where)
	return matcherTable.Page(tx, q, where)
}

// getMatcher reads one matcher; lock is "" or the clause for a row that is going to be changed.
func getMatcher(tx *sqldb.Tx, pk, lock string) (Matcher, error) {
	m, err := sqldb.One(tx, scanMatcher, `SELECT `+matcherColumns+` FROM policy p WHERE `+isMatcher+` AND p.pk = $1`+lock, pk)
	if err != nil {
		return m, notFound(err, "read event matcher")
	}
	return m, nil
}

// loadMatchers answers every matcher by its pk.
func loadMatchers(tx *sqldb.Tx) (map[string]*Matcher, error) {
	rows, err := sqldb.All(tx, scanMatcher, `SELECT `+matcherColumns+` FROM policy p WHERE `+isMatcher)
	if err != nil {
		return nil, fmt.Errorf("load event matchers: %w", err)
	}
	matchers := make(map[string]*Matcher, len(rows))
	for i := range rows {
		matchers[rows[i].PK] = &rows[i]
	}
	return matchers, nil
}

func insertMatcher(tx *sqldb.Tx, m *Matcher) error {
	m.created, m.lastUpdated = tx.Now(), tx.Now()
	_, err := tx.Exec(`INSERT INTO policy (pk, kind, name, execution_logging, created, last_updated, action, client_ip, app, model)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		m.PK, m.kind, m.Name, m.ExecutionLogging, m.created, m.lastUpdated, m.Action, m.ClientIP, m.App, m.Model)
	if err != nil {
		return fmt.Errorf("insert event matcher: %w", err)
	}
	return nil
}

func updateMatcher(tx *sqldb.Tx, m *Matcher) error {
	m.lastUpdated = tx.Now()
	_, err := tx.Exec(`UPDATE policy SET name = $2, execution_logging = $3, last_updated = $4,
		action = $5, client_ip = $6, app = $7, model = $8 WHERE pk = $1`,
		m.PK, m.Name, m.ExecutionLogging, m.lastUpdated, m.Action, m.ClientIP, m.App, m.Model)
	if err != nil {
		return fmt.Errorf("update event matcher: %w", err)
	}
	return nil
}
