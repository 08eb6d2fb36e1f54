package sqldb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"belfry/internal/sqldb"

	sqlite3 "modernc.org/sqlite/lib"
)

// childRole names the variable that makes the test's binary play another process.
const childRole = "SQLDB_TEST_CHILD"

// childMain is that process. Its role is a word and the path of a database.
func childMain(role string) int {
	word, path, _ := strings.Cut(role, " ")
	switch word {
	case "write":
		return childWrites(path)
	case "sync":
		return childFailsToSync(path)
	}
	return 2
}

// childFailsToSync writes with a disk whose fsync fails. It is ended in the middle of that.
func childFailsToSync(path string) int {
	d, _, err := registerDisk()
	if err != nil {
		return 3
	}
	db, err := sqldb.Open(context.Background(), path, sqldb.OnDisk(sqldb.Options{Schema: noteSchema, ApplicationID: 0x74657374}, d.name))
	if err != nil {
		return 4
	}
	d.fail("sync", "-wal", sqlite3.SQLITE_IOERR_FSYNC)
	fmt.Println("answered:", insertOne(db, "a"))
	return 5
}

// TestAFailedSyncEndsTheProcess with status 1 and a line in the log, before the write is answered.
func TestAFailedSyncEndsTheProcess(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childRole+"=sync "+tempPath(t))
	output, err := child.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	if text := string(output); !strings.Contains(text, "could not be synced") || strings.Contains(text, "answered") {
		t.Errorf("it said %q", text)
	}
}

// childWrites writes as fast as it can, and prints the name of every note when it was acknowledged.
func childWrites(path string) int {
	db, err := sqldb.Open(context.Background(), path, sqldb.Options{Schema: noteSchema, ApplicationID: 0x74657374})
	if err != nil {
		fmt.Println("refused:", err)
		return 1
	}
	acknowledged := make(chan string)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%06d", w, i)
				if err := insertOne(db, name); err != nil {
					name = "failed: " + err.Error()
				}
				acknowledged <- name
			}
		}()
	}
	for name := range acknowledged {
		fmt.Println(name)
	}
	return 0
}

// TestWhatWasAcknowledgedSurvivesAKill of a process that was writing.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	path := tempPath(t)
	acknowledged := map[string]bool{}
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childRole+"=write "+path)
		output, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(output)
		for n := 0; n < 300 && lines.Scan(); n++ {
			acknowledged[fmt.Sprint(round, " ", lines.Text())] = true
		}
		if _, err := sqldb.Open(context.Background(), path, testOptions(t)); err == nil || !strings.Contains(err.Error(), "another process has it open") {
			t.Errorf("a second process was answered %v", err)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still had in its pipe was acknowledged too
			acknowledged[fmt.Sprint(round, " ", lines.Text())] = true
		}
		_ = child.Wait() // it was killed
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() == 0 {
			t.Errorf("the kill left no log: %v", err)
		}
		db := openNotes(t, path, testOptions(t))
		got := names(t, db)
		for line := range acknowledged {
			if name, ok := strings.CutPrefix(line, fmt.Sprint(round, " ")); ok && !slices.Contains(got, name) {
				t.Errorf("%q was acknowledged and is gone", name)
			}
		}
		if err := db.Write(context.Background(), func(tx *sqldb.Tx) error { _, err := tx.Exec("DELETE FROM note"); return err }); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < 900 {
		t.Errorf("only %d writes were acknowledged", len(acknowledged))
	}
}
