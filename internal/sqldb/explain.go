package sqldb

import "errors"

// Explain runs fn, and answers how SQLite goes about each query of it: the lines of EXPLAIN QUERY PLAN. Tests make sure by
// it that no list reads a whole table. PostgreSQL plans by what it knows of the data, so that there nothing follows from a plan.
func Explain(tx *Tx, fn func(tx *Tx) error) (plans []Plan, err error) {
	e := &explainRun{runner: tx.run}
	tx.run = e
	defer func() { tx.run = e.runner }()
	err = fn(tx)
	return e.plans, err
}

// Plan is how SQLite goes about a statement.
type Plan struct {
	Query string
	Lines []string
}

// explainRun is a connection that notes the plan of each statement before it runs it.
type explainRun struct {
	runner
	plans []Plan
}

func (e *explainRun) exec(query string, args []any) (int64, error) {
	if err := e.explain(query, args); err != nil {
		return 0, err
	}
	return e.runner.exec(query, args)
}

func (e *explainRun) query(query string, args []any) (Rows, error) {
	if err := e.explain(query, args); err != nil {
		return nil, err
	}
	return e.runner.query(query, args)
}

func (e *explainRun) explain(query string, args []any) error {
	rows, err := e.runner.query("EXPLAIN QUERY PLAN "+query, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	plan := Plan{Query: query}
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			return err
		}
		plan.Lines = append(plan.Lines, line)
	}
	e.plans = append(e.plans, plan)
	return e.classify(errors.Join(rows.Err(), rows.Close()))
}
