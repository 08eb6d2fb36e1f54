package rules

import (
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// policyColumns are read into what (*Policy).columns answers.
const policyColumns = `p.pk, p.kind, p.name, p.execution_logging, p.created, p.last_updated,
	(SELECT COUNT(*) FROM binding b WHERE b.policy_pk = p.pk)`

func (p *Policy) columns() []any {
	return []any{&p.PK, &p.kind, &p.Name, &p.ExecutionLogging, &p.created, &p.lastUpdated, &p.boundTo}
}

func scanPolicy(row sqldb.Scanner) (p Policy, err error) { return p, row.Scan(p.columns()...) }

var policyTable = listing.Table[Policy]{
	Columns: policyColumns,
	From:    "policy p",
	PK:      "p.pk",
	Text:    "p.name",
	Orders:  map[string]string{"pk": "p.pk", "name": "p.name", "execution_logging": "p.execution_logging"},
	Scan:    scanPolicy,
}

// listPolicies reads the page of policies of all kinds that q asks for.
func listPolicies(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Policy], error) {
	var where sqldb.Where
	if value, ok := q.Bool("bindings__isnull"); ok {
		where.Add("(NOT EXISTS (SELECT 1 FROM binding b WHERE b.policy_pk = p.pk)) = ?", value)
	}
	if value, ok := q.Bool("promptstage__isnull"); ok {
		where.Add("? = TRUE", value) // there are no prompt stages
	}
	return policyTable.Page(tx, q, where)
}

// filterPolicies adds the filters that every kind has and that name no value of a column as it stands.
func filterPolicies(q *drf.Query, where *sqldb.Where) {
	for _, name := range []string{"created", "last_updated"} {
		if value, ok := q.Time(name); ok {
			where.Add("p."+name+" = ?", value)
		}
	}
	if value, ok := q.Bool("execution_logging"); ok {
		where.Add("p.execution_logging = ?", value)
	}
}

// getPolicy reads one policy of any kind; lock is "" or the clause for a row that is going to be changed.
func getPolicy(tx *sqldb.Tx, pk, lock string) (Policy, error) {
	p, err := sqldb.One(tx, scanPolicy, `SELECT `+policyColumns+` FROM policy p WHERE p.pk = $1`+lock, pk)
	if err != nil {
		return p, notFound(err, "read policy")
	}
	return p, nil
}

// loadPolicies answers every policy by its pk.
func loadPolicies(tx *sqldb.Tx) (map[string]Policy, error) {
	rows, err := sqldb.All(tx, scanPolicy, `SELECT `+policyColumns+` FROM policy p`)
	if err != nil {
		return nil, fmt.Errorf("load policies: %w", err)
	}
	policies := make(map[string]Policy, len(rows))
	for _, p := range rows {
		policies[p.PK] = p
	}
	return policies, nil
}
