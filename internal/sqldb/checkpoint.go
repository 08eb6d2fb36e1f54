package sqldb

import (
	"math"

	"belfry/internal/sqlite"
)

const (
	// checkpointPages is how many pages (16 MiB) the log may hold that the database does not. What changes again and again is
	// moved once in so many; to read so much after a kill takes a fraction of a second.
	checkpointPages = 4096
	// lookPages is after how many written pages it is looked at how long the log is: to look takes locks.
	lookPages = checkpointPages / 16
	// restartPages is the log's length (64 MiB) from which it is worth waiting for the readers.
	restartPages = journalSizeLimit / 4096
)

// grown reports whether so much was written that the log may be long enough for a checkpoint.
func (w *writer) grown() bool {
	return w.conn != nil && (w.conn.Written()-w.looked)&math.MaxInt32 >= lookPages
}

// checkpoint moves the log into the database when enough of it has come
// together. SQLite would do so by itself, but it keeps to itself what went wrong, a failed fsync included.
func (w *writer) checkpoint() {
	if !w.grown() {
		return
	}
	w.looked = w.conn.Written()
	log, done, _, err := w.conn.Checkpoint(sqlite.CheckpointNoop)
	if err == nil && log-done >= checkpointPages {
		log, _, _, err = w.conn.Checkpoint(sqlite.CheckpointPassive)
	}
	if err == nil && log >= w.restartAt {
		w.restartAt = restartPages
		busy := false
		if log, _, busy, err = w.conn.Checkpoint(sqlite.CheckpointRestart); err == nil && busy {
			// Some reader is slow. Waiting for it again after every write would stop the writes.
			w.restartAt = 2 * log
		}
	}
	if err != nil {
		w.health.note(err)
		w.discard()
	}
}
