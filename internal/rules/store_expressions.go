package rules

import (
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const (
	expressionColumns = policyColumns + `, p.expression`
	isExpression      = `p.kind = '` + kindExpression + `'`
)

func scanExpression(row sqldb.Scanner) (e ExpressionPolicy, err error) {
	err = row.Scan(append(e.columns(), &e.Expression)...)
	return e, err
}

var expressionTable = listing.Table[ExpressionPolicy]{
	Columns: expressionColumns,
	From:    "policy p",
	PK:      "p.pk",
	Text:    "p.name",
	Exact:   [][2]string{{"policy_uuid", "p.pk"}, {"name", "p.name"}, {"expression", "p.expression"}},
	Orders: map[string]string{
		"pk": "p.pk", "name": "p.name", "execution_logging": "p.execution_logging", "expression": "p.expression",
	},
	Scan: scanExpression,
}

// listExpressions reads the page that q asks for.
func listExpressions(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[ExpressionPolicy], error) {
	var where sqldb.Where
	where.Add(isExpression)
	filterPolicies(q, &where)
	return expressionTable.Page(tx, q, where)
}

// getExpression reads one expression policy; lock is "" or the clause for a row that is going to be changed.
func getExpression(tx *sqldb.Tx, pk, lock string) (ExpressionPolicy, error) {
	e, err := sqldb.One(tx, scanExpression,
		`SELECT `+expressionColumns+` FROM policy p WHERE `+isExpression+` AND p.pk = $1`+lock, pk)
	if err != nil {
		return e, notFound(err, "read expression policy")
	}
	return e, nil
}

// loadExpressions answers every expression policy by its pk.
func loadExpressions(tx *sqldb.Tx) (map[string]*ExpressionPolicy, error) {
	rows, err := sqldb.All(tx, scanExpression, `SELECT `+expressionColumns+` FROM policy p WHERE `+isExpression)
	if err != nil {
		return nil, fmt.Errorf("load expression policies: %w", err)
	}
	expressions := make(map[string]*ExpressionPolicy, len(rows))
	for i := range rows {
		expressions[rows[i].PK] = rows[i].prepare()
	}
	return expressions, nil
}

func insertExpression(tx *sqldb.Tx, e *ExpressionPolicy) error {
	e.created, e.lastUpdated = tx.Now(), tx.Now()
	_, err := tx.Exec(`INSERT INTO policy (pk, kind, name, execution_logging, created, last_updated, expression)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		e.PK, e.kind, e.Name, e.ExecutionLogging, e.created, e.lastUpdated, e.Expression)
	if err != nil {
		return fmt.Errorf("insert expression policy: %w", err)
	}
	return nil
}

func updateExpression(tx *sqldb.Tx, e *ExpressionPolicy) error {
	e.lastUpdated = tx.Now()
	_, err := tx.Exec(`UPDATE policy SET name = $2, execution_logging = $3, last_updated = $4, expression = $5 WHERE pk = $1`,
		e.PK, e.Name, e.ExecutionLogging, e.lastUpdated, e.Expression)
	if err != nil {
		return fmt.Errorf("update expression policy: %w", err)
	}
	return nil
}
