package sqldb_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // another way into the file
)

// folder is the content of every file of a directory but the lock's.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() || strings.HasSuffix(entry.Name(), ".lock") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(content)
	}
	return files
}

// closedNotes makes a database with a few notes, closes it, and answers its path.
func closedNotes(t *testing.T) string {
	t.Helper()
	path := tempPath(t)
	db := openNotes(t, path, testOptions(t))
	for _, name := range []string{"a", "b", "c"} {
		if err := db.Write(context.Background(), insert(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// foreignFile makes a SQLite file with SQL of its own.
func foreignFile(t *testing.T, script string) string {
	t.Helper()
	path := tempPath(t)
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(script); err != nil {
		t.Fatal(err)
	}
	return path
}

// change rewrites a file's bytes.
func change(t *testing.T, path string, edit func(content []byte) []byte) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, edit(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileThatIsNotFitIsRefusedInOneSentenceAndUntouched(t *testing.T) {
	write := func(content string) func(t *testing.T) string {
		return func(t *testing.T) string {
			path := tempPath(t)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	damage := func(edit func(content []byte) []byte) func(t *testing.T) string {
		return func(t *testing.T) string { return change(t, closedNotes(t), edit) }
	}
	for _, test := range []struct {
		name string
		make func(t *testing.T) string
		says string
	}{
		{"empty", write(""), "it is an empty file"},
		{"text", write(strings.Repeat("This is a diary. ", 500)), "it is not a SQLite database"},
		{"a few bytes", write("SQLite format 3\x00"), "it is cut off"},
		{"another program's", func(t *testing.T) string {
			return foreignFile(t, "CREATE TABLE diary (day TEXT); INSERT INTO diary VALUES ('monday'); PRAGMA application_id = 77")
		}, "another program made it"},
		{"another program's with a log", func(t *testing.T) string {
			return foreignFile(t, "PRAGMA journal_mode = WAL; CREATE TABLE diary (day TEXT)")
		}, "another program made it"},
		{"without a schema", func(t *testing.T) string { return foreignFile(t, "PRAGMA application_id = 0x74657374") }, "its schema is not of this program"},
		{"of a newer version", func(t *testing.T) string {
			path := tempPath(t)
			opt := testOptions(t)
			opt.Schema += "-- migration 2: more\nCREATE TABLE more (a TEXT);\n"
			if err := openNotes(t, path, opt).Close(); err != nil {
				t.Fatal(err)
			}
			return path
		}, "its schema has version 2 and this program knows 1"},
		{"with half a header", damage(func(content []byte) []byte { return content[:50] }), "it is cut off"},
		{"cut off in the schema's page", damage(func(content []byte) []byte { return content[:1000] }), "damaged"},
		{"cut off after two pages", damage(func(content []byte) []byte { return content[:2*4096] }), "damaged"},
		{"with a broken magic", damage(func(content []byte) []byte { content[3] ^= 0x20; return content }), "it is not a SQLite database"},
		{"with a zeroed schema page", damage(func(content []byte) []byte { clear(content[100:4096]); return content }), "damaged"},
		{"with a damaged table in the schema", damage(func(content []byte) []byte {
			return bytes.Replace(content, []byte("CREATE TABLE note"), []byte("CREATE TXBLE note"), 1)
		}), "damaged"},
		{"a directory", func(t *testing.T) string { return t.TempDir() }, "it is not a file"},
		{"a symbolic link to nothing", func(t *testing.T) string {
			path := tempPath(t)
			if err := os.Symlink(path+".gone", path); err != nil {
				t.Fatal(err)
			}
			return path
		}, "leads nowhere"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := test.make(t)
			dir := filepath.Dir(path)
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				dir = path
			}
			var before map[string]string
			if test.says != "leads nowhere" {
				before = folder(t, dir)
			}
			db, err := sqldb.Open(context.Background(), path, testOptions(t))
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			if text := err.Error(); !strings.Contains(text, test.says) || !strings.Contains(text, path) || strings.Contains(text, "\n") {
				t.Errorf("the sentence is %q", text)
			}
			if test.says != "leads nowhere" {
				if diff := cmp.Diff(before, folder(t, dir)); diff != "" {
					t.Errorf("the files changed: %s", diff)
				}
			}
		})
	}
}

// TestDamageOfHeaderAndSchemaIsRefusedOrHarmless changes each byte of the header in turn, and many of the page
// that holds the schema: either the file is refused, untouched, or it is opened, holds all that it held, keeps its constraints and can be written to.
func TestDamageOfHeaderAndSchemaIsRefusedOrHarmless(t *testing.T) {
	path := closedNotes(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	try := func(at int, flip byte) {
		damaged := bytes.Clone(sound)
		damaged[at] ^= flip
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.Open(context.Background(), path, testOptions(t))
		if err != nil {
			refused++
			if got, _ := os.ReadFile(path); !bytes.Equal(got, damaged) {
				t.Errorf("byte %d ^ %x: refused with %v, but the file has changed", at, flip, err)
			}
			return
		}
		if err := errors.Join(exerciseNotes(db), db.Close()); err != nil {
			t.Errorf("byte %d ^ %x: opened, but %v", at, flip, err)
		}
	}
	for at := range 100 {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			try(at, flip)
		}
	}
	if refused < 50 {
		t.Errorf("only %d damaged headers were refused", refused)
	}
	schema := bytes.Index(sound, []byte("CREATE TABLE")) // the first one on the page; before it there is space that nobody uses
	if schema < 100 || schema > 4096 {
		t.Fatalf("the schema begins at %d", schema)
	}
	for range 300 {
		try(schema+random.IntN(4096-schema), byte(1<<random.IntN(8)))
	}
	for _, object := range []string{"tablenotenote", "indexsqlite_autoindex_note_1note", "tableremarkremark", "tabletagtag"} {
		for bit := range 8 { // the number of its first page
			try(bytes.Index(sound, []byte(object))+len(object), byte(1<<bit))
		}
	}
	for at := 100; at < 140; at++ {
		try(at, byte(1<<random.IntN(8)))
	}
}

// exerciseNotes uses every table of noteSchema, whose rows are those of closedNotes.
func exerciseNotes(db *sqldb.DB) error {
	ctx := context.Background()
	exec := func(query string) error {
		return db.Write(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(query); return err })
	}
	err := errors.Join(insertOne(db, "d"),
		exec("INSERT INTO remark (name, note) VALUES ('r', 'a')"),
		exec("INSERT INTO tag (a, b) VALUES ('a', 1), ('b', 1)"))
	if err == nil && exec("INSERT INTO remark (name, note) VALUES ('s', 'none')") == nil {
		err = errors.New("a foreign key is gone")
	}
	if err == nil && (exec("INSERT INTO tag (a, b) VALUES ('b', 1)") == nil || insertOne(db, "d") == nil) {
		err = errors.New("a unique constraint is gone")
	}
	if err == nil && exec("INSERT INTO note (name, body) VALUES ('n', NULL)") == nil {
		err = errors.New("NOT NULL is gone")
	}
	return errors.Join(err, db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err := sqldb.All(tx, scanText, "SELECT body FROM note ORDER BY name")
		if err == nil && !slices.Equal(list, []string{"text of a", "text of b", "text of c", "text of d"}) {
			err = fmt.Errorf("it holds %q", list)
		}
		return err
	}))
}

func insertOne(db *sqldb.DB, name string) error {
	return db.Write(context.Background(), insert(name))
}

func TestADatabaseThatIsGoneIsNotReplacedWhileItsLogIsThere(t *testing.T) {
	for _, suffix := range []string{"-wal", "-journal"} {
		path := tempPath(t)
		if err := os.WriteFile(path+suffix, []byte("log"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := folder(t, filepath.Dir(path))
		_, err := sqldb.Open(context.Background(), path, testOptions(t))
		if err == nil || !strings.Contains(err.Error(), suffix+" is there") {
			t.Errorf("answered %v", err)
		}
		if diff := cmp.Diff(before, folder(t, filepath.Dir(path))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestASecondOpenIsRefusedWithinTwoSeconds(t *testing.T) {
	path := tempPath(t)
	link := filepath.Join(t.TempDir(), "link.db")
	db := openNotes(t, path, testOptions(t))
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		begin := time.Now()
		_, err := sqldb.Open(context.Background(), name, testOptions(t))
		if !errors.Is(err, sqldb.ErrLocked) || !strings.Contains(err.Error(), "another process has it open") {
			t.Errorf("answered %v", err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	}
	if err := db.Write(context.Background(), insert("still")); err != nil {
		t.Errorf("the first was disturbed: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	openNotes(t, path, testOptions(t)) // the lock went with it
}

// TestFilesAreForTheOwnerOnly whatever the umask is.
func TestFilesAreForTheOwnerOnly(t *testing.T) {
	base := t.TempDir()
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(base, "made", "deeper", "notes.db")
	modes := func() map[string]fs.FileMode {
		found := map[string]fs.FileMode{}
		err := filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			found[filepath.Base(path)] = info.Mode().Perm()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		delete(found, filepath.Base(base))
		return found
	}
	want := map[string]fs.FileMode{"made": 0o700, "deeper": 0o700,
		"notes.db": 0o600, "notes.db-wal": 0o600, "notes.db-shm": 0o600, "notes.db.lock": 0o600}
	db := openNotes(t, path, testOptions(t))
	if err := db.Write(context.Background(), insert("a")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, modes()); diff != "" {
		t.Error(diff)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notes.db", "notes.db.lock"} { // as a restore may have left them
		if err := os.Chmod(filepath.Join(filepath.Dir(path), name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	db = openNotes(t, path, testOptions(t))
	if err := db.Write(context.Background(), insert("b")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, modes()); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(base)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory that existed has mode %v, %v", info.Mode(), err)
	}
}

// TestMakingADatabaseIsAllOrNothing fails at each step in turn.
func TestMakingADatabaseIsAllOrNothing(t *testing.T) {
	t.Run("seed", func(t *testing.T) {
		sqldbtest.EachURL(t, func(t *testing.T, url string) {
			opt := testOptions(t)
			opt.Seed = func(tx *sqldb.Tx) error { return errors.Join(insert("half")(tx), errMine) }
			if _, err := sqldb.Open(context.Background(), url, opt); !errors.Is(err, errMine) {
				t.Fatalf("answered %v", err)
			}
			if _, err := os.Stat(url); err == nil {
				t.Error("a database was left that was not seeded")
			}
			opt.Seed = insert("whole")
			db := openNotes(t, url, opt)
			if !db.Created() || !slices.Equal(names(t, db), []string{"whole"}) {
				t.Errorf("created %v with %v", db.Created(), names(t, db))
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openNotes(t, url, opt)
			if db.Created() || !slices.Equal(names(t, db), []string{"whole"}) {
				t.Errorf("created again %v with %v", db.Created(), names(t, db))
			}
		})
	})
	for _, call := range []string{"write", "sync"} {
		for _, suffix := range []string{".new", "-wal"} {
			t.Run(call+" "+suffix, func(t *testing.T) {
				d := newDisk(t)
				opt := sqldb.OnDisk(testOptions(t), d.name)
				opt.Seed = insert("whole")
				path := tempPath(t)
				d.fail(call, suffix, 10)
				if _, err := sqldb.Open(context.Background(), path, opt); err == nil || d.failed(call, suffix) == 0 {
					t.Fatalf("answered %v", err)
				}
				if _, err := os.Stat(path); err == nil {
					t.Error("an unfinished database has its name")
				}
				d.heal()
				if db := openNotes(t, path, opt); !slices.Equal(names(t, db), []string{"whole"}) {
					t.Errorf("it holds %v", names(t, db))
				}
			})
		}
	}
}

// TestANewDatabaseIsSyncedBeforeItHasItsName and leaves nothing beside it.
func TestANewDatabaseIsSyncedBeforeItHasItsName(t *testing.T) {
	d := newDisk(t)
	path := tempPath(t)
	if err := os.WriteFile(path+".new", []byte("left by a kill"), 0o600); err != nil {
		t.Fatal(err)
	}
	db := openNotes(t, path, sqldb.OnDisk(testOptions(t), d.name))
	if d.count("sync", ".new") == 0 {
		t.Error("it was not synced")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(folder(t, filepath.Dir(path)))); !slices.Equal(got, []string{"notes.db"}) {
		t.Errorf("there are %v", got)
	}
}

func TestSettingsOfANewFile(t *testing.T) {
	path := closedNotes(t)
	pool, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for pragma, want := range map[string]int{"auto_vacuum": 2, "application_id": 0x74657374} {
		var got int
		if err := pool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", pragma, got, err, want)
		}
	}
}

func TestPathsWithOddCharacters(t *testing.T) {
	for _, name := range []string{"a b.db", "a?b=c.db", "a#b.db", "a%41.db", "ä€.db", "a&mode=ro.db", "a'b\".db"} {
		path := filepath.Join(t.TempDir(), name)
		db := openNotes(t, path, testOptions(t))
		if err := db.Write(context.Background(), insert("a")); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestACopyOfTheFilesHoldsWhatWasAcknowledged is a crash: the log is not moved into the database, and nobody closes anything.
func TestACopyOfTheFilesHoldsWhatWasAcknowledged(t *testing.T) {
	path := tempPath(t)
	db := openNotes(t, path, testOptions(t))
	for _, name := range []string{"a", "b", "c"} {
		if err := db.Write(context.Background(), insert(name)); err != nil {
			t.Fatal(err)
		}
	}
	crashed := tempPath(t)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) == 0 {
			t.Errorf("%s is empty: this is no crash", path+suffix)
		}
		if err := os.WriteFile(crashed+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, openNotes(t, crashed, testOptions(t))); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("after the crash it holds %v", got)
	}
}
