package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"belfry/internal/sqlite"

	"github.com/gofrs/flock"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// lockPatience is how long a process that is just ending is waited for.
	lockPatience = 300 * time.Millisecond
	lockRetry    = 20 * time.Millisecond

	fileMode      = 0o600
	directoryMode = 0o700

	smallestDatabase = 512 // one page of SQLite's smallest size
)

// resolvePath answers the one absolute path of a database file, so that two names of
// one file (a symbolic link) have the same lock. It makes the directory when it does not exist.
func resolvePath(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path of the database is empty")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("database %s: it is a symbolic link that leads nowhere", path)
	}
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// makeDirectory makes a directory and those above it, for the owner only whatever the umask is. One that exists keeps its mode.
func makeDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDirectory(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, directoryMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, directoryMode); err != nil {
		return err
	}
	return syncDirectory(parent)
}

// syncDirectory makes the names in a directory last.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockFile takes the lock beside the database. It is a file of our own, because
// SQLite's locks let several processes write to one database in turn.
func lockFile(ctx context.Context, path string) (*flock.Flock, error) {
	lock := flock.New(path+".lock", flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(fileMode))
	waiting, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	locked, err := lock.TryLockContext(waiting, lockRetry)
	if !locked && waiting.Err() != nil && ctx.Err() == nil {
		return nil, errors.Join(ErrLocked, lock.Close())
	}
	if err == nil {
		err = os.Chmod(lock.Path(), fileMode)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("its lock file: %w", err), lock.Close())
	}
	return lock, nil
}

// prepareFile makes the database file, or checks the one that exists, and brings its schema up to date.
func prepareFile(ctx context.Context, file sqliteFile, opt Options, migrations []migration, clock *clock) (created bool, err error) {
	info, err := os.Stat(file.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, create(ctx, file, opt, migrations, clock)
	}
	if err != nil {
		return false, err
	}
	if err := checkFile(ctx, file, info, opt.ApplicationID, migrations); err != nil {
		return false, err
	}
	if err := closeToOthers(file.path); err != nil {
		return false, err
	}
	conn, err := file.openMigrator()
	if err != nil {
		return false, err
	}
	return false, errors.Join(migrateSQLite(ctx, conn, migrations, clock), conn.Close())
}

// closeToOthers takes the rights of other users away from the database and SQLite's files beside it.
func closeToOthers(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = os.Chmod(path+suffix, fileMode)
		}
		if err != nil {
			return fmt.Errorf("it may be read by others: %w", err)
		}
	}
	return nil
}

// create makes the database aside and gives it its name when it is whole and
// synced, so that a kill at any moment leaves either no database or a complete one.
func create(ctx context.Context, file sqliteFile, opt Options, migrations []migration, clock *clock) error {
	for _, suffix := range []string{"-wal", "-journal"} {
		if _, err := os.Lstat(file.path + suffix); err == nil {
			return fmt.Errorf("it is missing, but its log %s%s is there: "+
				"restore the database, or move the log away to begin with an empty one", file.path, suffix)
		}
	}
	aside := sqliteFile{path: file.path + ".new", vfs: file.vfs}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(aside.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := fill(ctx, aside, file.path+".lock", opt, migrations, clock); err != nil {
		return fmt.Errorf("make it: %w", err)
	}
	if _, err := os.Lstat(aside.path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errors.New("make it: SQLite left a log behind"), err)
	}
	if err := os.Rename(aside.path, file.path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(file.path))
}

// fill makes the schema and the first rows. When it returns nil, SQLite has synced the file and removed its log.
func fill(ctx context.Context, file sqliteFile, modeOf string, opt Options, migrations []migration, clock *clock) error {
	// The lock file is 0600, and so are the database and its log.
	conn, err := openConn(file.uri("modeof="+escapeParameter(modeOf)),
		perConnection("auto_vacuum = INCREMENTAL", fmt.Sprintf("application_id = %d", opt.ApplicationID))...)
	if err != nil {
		return err
	}
	err = migrateSQLite(ctx, conn, migrations, clock)
	if err == nil && opt.Seed != nil {
		err = conn.transaction(clock.next(), opt.Seed)
	}
	if err == nil {
		_, _, _, err = conn.Checkpoint(sqlite.CheckpointTruncate)
	}
	return errors.Join(err, conn.Close())
}

// migrateSQLite applies what is missing, each migration in its own transaction. The end of ctx interrupts it.
func migrateSQLite(ctx context.Context, conn *sqliteConn, migrations []migration, clock *clock) error {
	defer interruptWhenDone(ctx, conn)()
	version := 0
	err := conn.transaction(clock.next(), func(tx *Tx) (err error) {
		version, err = currentVersion(tx)
		return err
	})
	if err != nil {
		return err
	}
	// Because of its rights or of its header; SQLite would say so at the first write only.
	if readOnly, err := conn.ReadOnly(); err != nil || readOnly {
		return errors.Join(errors.New("it can be read but not written"), err)
	}
	for _, m := range migrations[version:] {
		now := clock.next()
		if err := conn.transaction(now, func(tx *Tx) error { return m.apply(tx, "sqlite", now) }); err != nil {
			return err
		}
	}
	return nil
}

// transaction runs fn between BEGIN IMMEDIATE and COMMIT.
func (c *sqliteConn) transaction(now int64, fn func(tx *Tx) error) error {
	err := c.run("BEGIN IMMEDIATE")
	if err == nil {
		tx := &Tx{run: c, now: now}
		err = callWhole(tx, fn)
		tx.end()
	}
	if err == nil {
		err = c.run("COMMIT")
	}
	if err != nil {
		return errors.Join(classifySQLite(err), c.rollback())
	}
	return nil
}

// checkFile refuses a file that is not a sound database of this program. It opens the file for reading
// only; where there is no log, SQLite is told that nobody writes, so that it makes no files beside it.
func checkFile(ctx context.Context, file sqliteFile, info fs.FileInfo, applicationID int32, migrations []migration) error {
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if info.Size() == 0 {
		return errors.New("it is an empty file, and not a database: restore it, or move it away to begin with an empty database")
	}
	if info.Size() < smallestDatabase {
		return fmt.Errorf("it is cut off: %d bytes are less than any SQLite database has", info.Size())
	}
	parameters := []string{"mode=ro"}
	if log, err := os.Stat(file.path + "-wal"); err != nil || log.Size() == 0 {
		parameters = append(parameters, "immutable=1")
	}
	conn, err := openConn(file.uri(parameters...))
	if err != nil {
		return refusal(err)
	}
	release := interruptWhenDone(ctx, conn)
	err = refusal(checkContent(conn, applicationID, migrations))
	release() // before the connection is closed
	return errors.Join(err, conn.Close())
}

// checkContent reads what a sound database must have.
func checkContent(conn *sqliteConn, applicationID int32, migrations []migration) error {
	var id int32
	if err := conn.row("PRAGMA application_id", &id); err != nil {
		return err
	}
	if id != applicationID {
		return fmt.Errorf("another program made it (application id %d instead of %d)", id, applicationID)
	}
	// This reads every line of the schema, the page it stands on, and the list of
	// free pages, but no table: its time does not grow with what is stored.
	var found string
	if err := conn.row("PRAGMA quick_check(sqlite_schema)", &found); err != nil {
		return err
	}
	if found != "ok" {
		return fmt.Errorf("it is damaged: restore it from a backup: %s", strings.Join(strings.Fields(found), " "))
	}
	version, err := schemaVersion(&Tx{run: conn})
	if err != nil {
		return err
	}
	if err := checkVersion(version, migrations); err != nil {
		return err
	}
	return checkShape(conn, migrations[:version])
}

// refusal says in words what SQLite found.
func refusal(err error) error {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("it is not a SQLite database, or its header is damaged: %w", err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("it is damaged: restore it from a backup: %w", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("SQLite cannot open it: %w", err)
	case sqlite3.SQLITE_ERROR:
		return fmt.Errorf("its schema is not of this program: %w", err)
	}
	return err
}
