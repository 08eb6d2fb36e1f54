package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// filledDatabase fills a database and serves it.
func filledDatabase(t *testing.T, events int) (*belfry, *sql.DB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "belfry.db")
	if err := fillDatabase(t.Context(), path, events); err != nil {
		t.Fatal(err)
	}
	b := &belfry{binary: filepath.Join(t.TempDir(), "belfry")}
	if err := b.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	if err := b.start(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db, err := openFilled(path, "mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return b, db
}

// number reads one number.
func number(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// counted is the count that a list answers.
func counted(t *testing.T, b *belfry, path string) int {
	t.Helper()
	text, err := b.call(t.Context(), http.MethodGet, path, "", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	var l struct{ Pagination struct{ Count int } }
	if err := json.Unmarshal(text, &l); err != nil {
		t.Fatal(err)
	}
	return l.Pagination.Count
}

// TestAFilledDatabaseIsLikeOneThatTheServerWrote posts events that were invented to the server too, and compares the rows.
func TestAFilledDatabaseIsLikeOneThatTheServerWrote(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves it out: it builds belfry")
	}
	const events = 9000 // more than a zone of the search index
	b, db := filledDatabase(t, events)
	if n := number(t, db, "SELECT count(*) FROM event"); n != events {
		t.Errorf("%d events", n)
	}
	if n := number(t, db, `SELECT count(*) FROM (SELECT created / $1 * $1 AS h, action, count(*) AS n FROM event GROUP BY 1, 2) e
		FULL JOIN event_hour c ON c.hour = e.h AND c.action = e.action WHERE c.count IS NOT e.n`, hourMicros); n > 0 {
		t.Errorf("%d counters are not what they count", n)
	}
	if n := number(t, db, `SELECT count(*) FROM (SELECT action, application, coalesce(CAST(user_pk AS TEXT), '') AS user_pk, count(*) AS n FROM event
		WHERE application IS NOT NULL GROUP BY 1, 2, 3) e FULL JOIN event_application c USING (action, application, user_pk) WHERE c.count IS NOT e.n`); n > 0 {
		t.Errorf("%d counters of applications are not what they count", n)
	}
	if n := number(t, db, "SELECT count(*) FROM event a JOIN event b ON b.rowid = a.rowid + 1 WHERE (b.created, b.pk) <= (a.created, a.pk)"); n > 0 {
		t.Errorf("%d events are not in the order of time", n)
	}
	for path, want := range map[string]int{
		eventsPath: events, eventsPath + "?action=custom_": number(t, db, "SELECT count(*) FROM event WHERE action LIKE 'custom$_%' ESCAPE '$'"),
		eventsPath + "?search=" + commonWord: number(t, db, "SELECT count(*) FROM event WHERE folded LIKE '%"+commonWord+"%'"),
		eventsPath + "?search=" + rareWord:   number(t, db, "SELECT count(*) FROM event WHERE folded LIKE '%"+rareWord+"%'"),
		notificationsPath:                    events / 50,
	} {
		if got := counted(t, b, path); got != want || want == 0 {
			t.Errorf("%s: %d and not %d", path, got, want)
		}
	}
	bytes := 0
	for i := range 500 {
		e := invent(i, 0, 1)
		bytes += len(e.user) + len(e.context) + len(e.brand)
		if pk, err := postAgain(t.Context(), b, e); err != nil {
			t.Fatal(err)
		} else if a, b := rowOf(t, db, "rowid", i+1), rowOf(t, db, "pk", pk); !reflect.DeepEqual(a, b) {
			t.Fatalf("event %d is\n%v\nand as the server writes it\n%v", i, a, b)
		}
	}
	if bytes /= 500; bytes < 550 || bytes > 650 {
		t.Errorf("an event has %d bytes of JSON", bytes)
	}
}

// postAgain posts an event and answers its key.
func postAgain(ctx context.Context, b *belfry, e *filled) (pk string, err error) {
	body, err1 := json.Marshal(map[string]any{
		"action": e.action, "app": e.app, "client_ip": e.clientIP, "user": json.RawMessage(e.user), "brand": json.RawMessage(e.brand),
		"context": json.RawMessage(e.context),
	})
	text, err2 := b.call(ctx, http.MethodPost, eventsPath, string(body), http.StatusCreated)
	var made struct{ PK string }
	err3 := json.Unmarshal(text, &made)
	return made.PK, errors.Join(err1, err2, err3)
}

// rowOf reads an event without its key and its times, but with the time that it is kept.
func rowOf(t *testing.T, db *sql.DB, column string, key any) []any {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), fmt.Sprintf(`SELECT expires - created AS kept, substr(folded, length(pk) + 1) AS said, substr(folded, 1, length(pk)) = pk AS keyed,
		* FROM event WHERE %s = $1`, column), key)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		t.Fatalf("no event with the %s %v: %v", column, key, err)
	}
	values := valuesOf(t, rows, len(names))
	var row []any
	for i, name := range names {
		if !strings.Contains(" pk created expires folded ", " "+name+" ") {
			row = append(row, name, values[i])
		}
	}
	return row
}

func TestFillingGoesOnWhereItWasStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves it out: it builds belfry")
	}
	b, db := filledDatabase(t, 400)
	b.stop()
	path := filepath.Join(t.TempDir(), "belfry.db")
	if _, err := db.ExecContext(t.Context(), "VACUUM INTO $1", path); err != nil {
		t.Fatal(err)
	}
	half, err := openFilled(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := half.ExecContext(t.Context(), "DELETE FROM event WHERE rowid > 100; DELETE FROM notification WHERE created > (SELECT max(created) FROM event); DELETE FROM event_hour; DELETE FROM event_application"); err != nil {
		t.Fatal(err)
	}
	if err := insertEvents(t.Context(), path, 400); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"SELECT * FROM event ORDER BY rowid", "SELECT * FROM notification ORDER BY pk"} {
		if a, b := dump(t, db, query), dump(t, half, query); !reflect.DeepEqual(a, b) {
			t.Errorf("%s differs: %d rows and %d", query, len(a), len(b))
		}
	}
}

// valuesOf reads a row of so many columns.
func valuesOf(t *testing.T, rows *sql.Rows, columns int) []any {
	t.Helper()
	values, into := make([]any, columns), make([]any, columns)
	for i := range into {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	return values
}

// dump answers the rows of a query as text.
func dump(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		all = append(all, fmt.Sprint(valuesOf(t, rows, len(names))))
	}
	return all
}
