package sqldb

import "errors"

// member is the connection as one fn of a group sees it.
type member struct {
	*sqliteConn
	careful bool    // a savepoint is set before the first write
	summary Summary // of fn
	saved   bool    // it is
	wrote   bool    // a statement has changed something
}

// serve runs a job's fn, and keeps or undoes what it wrote where it can.
func (m *member) serve(j *job, now int64) outcome {
	tx := &Tx{run: m, now: now}
	j.err = m.classify(call(tx, j.fn))
	m.summary = tx.summary
	tx.end()
	switch {
	case !m.InTransaction():
		return lost
	case m.saved:
		return m.settle(j.err)
	case m.wrote && j.err != nil:
		return undone
	}
	return answered
}

// settle ends the savepoint, and before that what was written since it if fn has failed.
func (m *member) settle(err error) outcome {
	if err != nil && m.run("ROLLBACK TO fn") != nil || m.run("RELEASE fn") != nil || !m.InTransaction() {
		return lost
	}
	return answered
}

// errLost is the answer to what a fn does after its transaction was lost: it would commit by itself.
var errLost = storageError(errors.New("SQLite rolled the transaction back"))

// begin makes ready for a statement, and reports whether it may write.
func (m *member) begin(query string) (writes bool, err error) {
	if !m.InTransaction() {
		return false, errLost
	}
	reads, err := m.ReadsOnly(query)
	if err != nil || reads {
		return false, m.classify(err)
	}
	if m.careful && !m.saved {
		m.saved = true
		err = m.run("SAVEPOINT fn")
	}
	return true, err
}

func (m *member) exec(query string, args []any) (int64, error) {
	writes, err := m.begin(query)
	if err != nil {
		return 0, err
	}
	changed, err := m.sqliteConn.exec(query, args)
	m.wrote = m.wrote || writes && err == nil
	return changed, err
}

func (m *member) query(query string, args []any) (Rows, error) {
	writes, err := m.begin(query)
	if err != nil {
		return nil, err
	}
	rows, err := m.sqliteConn.query(query, args)
	m.wrote = m.wrote || writes && err == nil
	return rows, err
}
