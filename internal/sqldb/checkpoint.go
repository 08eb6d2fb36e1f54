package sqldb

import (
	"context"
	"fmt"
)

const (
	// checkpointPages is how many pages the log may hold that the database does not.
	checkpointPages = 1000
	// restartPages is the log's length (64 MiB) from which it is worth waiting for the readers.
	restartPages = journalSizeLimit / 4096
)

// walState is SQLite's answer about its log, in pages.
type walState struct{ busy, log, done int64 }

// checkpoint moves the log into the database when enough of it has come
// together. SQLite would do so by itself, but it keeps to itself what went wrong, a failed fsync included.
func (w *writer) checkpoint() {
	if w.conn == nil {
		return
	}
	state, err := w.conn.checkpoint("NOOP")
	if err == nil && state.log-state.done >= checkpointPages {
		state, err = w.conn.checkpoint("PASSIVE")
	}
	if err == nil && state.log >= w.restartAt {
		w.restartAt = restartPages
		if state, err = w.conn.checkpoint("RESTART"); err == nil && state.busy != 0 {
			// Some reader is slow. Waiting for it again after every write would stop the writes.
			w.restartAt = 2 * state.log
		}
	}
	if err != nil {
		w.health.note(err)
		w.discard()
	}
}

// checkpoint runs one checkpoint; NOOP only asks.
func (c *sqliteConn) checkpoint(mode string) (state walState, err error) {
	rows, err := c.query(context.Background(), "PRAGMA wal_checkpoint("+mode+")", nil)
	if err != nil {
		return state, err
	}
	defer rows.Close()
	if !rows.Next() {
		return state, fmt.Errorf("sqldb: the checkpoint answered nothing: %w", classifySQLite(rows.Err()))
	}
	if err := rows.Scan(&state.busy, &state.log, &state.done); err != nil {
		return state, err
	}
	return state, nil
}
