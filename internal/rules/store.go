package rules

import (
	"database/sql"
	"errors"
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const ruleColumns = `r.pk, r.name, r.severity, r.group_pk, r.destination_event_user`

func scanRule(row sqldb.Scanner) (r Rule, err error) {
	err = row.Scan(&r.PK, &r.Name, &r.Severity, &r.GroupPK, &r.DestinationEventUser)
	return r, err
}

var ruleTable = listing.Table[Rule]{
	Columns: ruleColumns,
	From:    "rule r LEFT JOIN user_group g ON g.pk = r.group_pk",
	PK:      "r.pk",
	Text:    "r.name || ' ' || COALESCE(g.name, '')",
	Exact:   [][2]string{{"name", "r.name"}, {"severity", "r.severity"}, {"group__name", "g.name"}},
	Orders: map[string]string{
		"pk":                     "r.pk",
		"name":                   "r.name",
		"severity":               "r.severity",
		"group":                  "COALESCE(r.group_pk, '')",
		"destination_group":      "COALESCE(r.group_pk, '')",
		"destination_event_user": "r.destination_event_user",
	},
	Scan: scanRule,
}

// listRules reads the page that q asks for.
func listRules(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Rule], error) {
	page, err := ruleTable.Page(tx, q, sqldb.Where{})
	if err != nil {
		return page, err
	}
	return page, readTransports(tx, page.Rows)
}

// getRule reads one rule; lock is "" or the clause for a row that is going to be changed.
func getRule(tx *sqldb.Tx, pk, lock string) (Rule, error) {
	r, err := sqldb.One(tx, scanRule, `SELECT `+ruleColumns+` FROM rule r WHERE r.pk = $1`+lock, pk)
	if err != nil {
		return r, notFound(err, "read rule")
	}
	rows := []Rule{r}
	err = readTransports(tx, rows)
	return rows[0], err
}

// notFound answers 404 for a row that is not there, and any other error with what was being done.
func notFound(err error, doing string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return drf.NotFound()
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// readTransports fills in the transports of rules.
func readTransports(tx *sqldb.Tx, rules []Rule) error {
	at := make(map[string]*Rule, len(rules))
	pks := make([]any, len(rules))
	for i := range rules {
		rules[i].Transports = []string{}
		at[rules[i].PK] = &rules[i]
		pks[i] = rules[i].PK
	}
	var where sqldb.Where
	where.In("rule_pk", pks...)
	links, err := sqldb.All(tx, scanPair,
		`SELECT rule_pk, transport_pk FROM rule_transport`+where.SQL()+` ORDER BY transport_pk`, where.Args()...)
	if err != nil {
		return fmt.Errorf("read transports of rules: %w", err)
	}
	for _, link := range links {
		r := at[link[0]]
		r.Transports = append(r.Transports, link[1])
	}
	return nil
}

// fillRules fills in what answers show besides: the group of each rule.
func fillRules(tx *sqldb.Tx, rules []Rule) error {
	var pks []string
	for _, r := range rules {
		if r.GroupPK != nil {
			pks = append(pks, *r.GroupPK)
		}
	}
	groups, err := identity.GetGroups(tx, sortedSet(pks))
	if err != nil {
		return err
	}
	for i := range rules {
		rules[i].group = pick(groups, rules[i].GroupPK)
	}
	return nil
}

// pick is the object that a relation points to, nil for none.
func pick[K comparable, V any](objects map[K]V, pk *K) *V {
	if pk == nil {
		return nil
	}
	if object, ok := objects[*pk]; ok {
		return &object
	}
	return nil
}

func insertRule(tx *sqldb.Tx, r *Rule) error {
	_, err := tx.Exec(`INSERT INTO rule (pk, name, severity, group_pk, destination_event_user) VALUES ($1, $2, $3, $4, $5)`,
		r.PK, r.Name, r.Severity, r.GroupPK, r.DestinationEventUser)
	if err != nil {
		return fmt.Errorf("insert rule: %w", err)
	}
	return linkTransports(tx, r)
}

func updateRule(tx *sqldb.Tx, r *Rule) error {
	_, err := tx.Exec(`UPDATE rule SET name = $2, severity = $3, group_pk = $4, destination_event_user = $5 WHERE pk = $1`,
		r.PK, r.Name, r.Severity, r.GroupPK, r.DestinationEventUser)
	if err != nil {
		return fmt.Errorf("update rule: %w", err)
	}
	if _, err := tx.Exec(`DELETE FROM rule_transport WHERE rule_pk = $1`, r.PK); err != nil {
		return fmt.Errorf("unlink transports: %w", err)
	}
	return linkTransports(tx, r)
}

func linkTransports(tx *sqldb.Tx, r *Rule) error {
	for _, pk := range r.Transports {
		if _, err := tx.Exec(`INSERT INTO rule_transport (rule_pk, transport_pk) VALUES ($1, $2)`, r.PK, pk); err != nil {
			return fmt.Errorf("link transport: %w", err)
		}
	}
	return nil
}

// exists reports whether a SELECT 1 finds a row.
func exists(tx *sqldb.Tx, query string, args ...any) (bool, error) {
	var one int
	err := tx.Row(query, args, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
