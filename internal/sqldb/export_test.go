package sqldb

import "belfry/internal/sqlite"

// OnDisk answers opt for a database on the SQLite file system of that name.
func OnDisk(opt Options, vfs string) Options {
	opt.vfs = vfs
	return opt
}

// Statements is the number of prepared statements that the writer keeps.
func Statements(db *DB) int { return db.backend.(*sqliteDB).writer.conn.Statements() }

// StatementLimit bounds them.
const StatementLimit = sqlite.StatementLimit

// QueueLimit is how many writes may wait.
const QueueLimit = queueLimit

// CheckpointPages is the number of pages after which the writer runs a checkpoint.
const CheckpointPages = checkpointPages
