package sqldb

// Explain runs fn, and answers how SQLite goes about each query of it: the lines of EXPLAIN QUERY PLAN. Tests make sure by
// it that no list reads a whole table. PostgreSQL plans by what it knows of the data, so that there nothing follows from a plan.
func Explain(tx *Tx, fn func(tx *Tx) error) (plans []Plan, err error) {
	e := &explainRun{runner: tx.run}
	tx.run = e
	defer func() { tx.run = e.runner }()
	err = fn(tx)
	return e.plans, err
}

// Plan is how SQLite goes about a query.
type Plan struct {
	Query string
	Lines []string
}

// explainRun is a connection that notes the plan of each query before it runs it.
type explainRun struct {
	runner
	plans []Plan
}

func (e *explainRun) query(query string, args []any) (Rows, error) {
	rows, err := e.runner.query("EXPLAIN QUERY PLAN "+query, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	plan := Plan{Query: query}
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			return nil, err
		}
		plan.Lines = append(plan.Lines, line)
	}
	if err := rows.Err(); err != nil {
		return nil, e.classify(err)
	}
	e.plans = append(e.plans, plan)
	_ = rows.Close() // read to its end
	return e.runner.query(query, args)
}
