package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	difference "github.com/google/go-cmp/cmp"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
	"belfry/internal/trigram"
)

// index makes all zones that are to be made, as the background does.
func (f *fixture) index() {
	f.t.Helper()
	if f.db.Postgres() {
		return
	}
	x := &indexer{db: f.db, log: slog.New(slog.NewTextHandler(f.t.Output(), nil))}
	for found := true; found; {
		var err error
		if found, err = x.step(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
	}
}

// nextZone gives the newest event a number in the next zone, so that those before it fill a zone: a test need not make thousands.
func (f *fixture) nextZone() {
	f.t.Helper()
	if !f.db.Postgres() {
		f.exec(f.t, "UPDATE event SET rowid = ((rowid >> 13) + 1) << 13 WHERE rowid = (SELECT max(rowid) FROM event)")
	}
}

// row reads one number.
func (f *fixture) row(query string, args ...any) (n int64) {
	f.t.Helper()
	err := f.db.Read(f.t.Context(), func(tx *sqldb.Tx) error { return tx.Row(query, args, &n) })
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// events are all events that are stored.
func (f *fixture) events() (all []Event) {
	f.t.Helper()
	err := f.db.Read(f.t.Context(), func(tx *sqldb.Tx) (err error) {
		all, err = sqldb.All(tx, scanEvent, "SELECT "+eventColumns+" FROM event e")
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

// listed walks through all pages of the list and answers the events' keys. The count of every page is theirs.
func (f *fixture) listed(query string) (keys []string) {
	f.t.Helper()
	counts := map[any]bool{}
	for page := 1; page > 0; {
		list := f.must(200, "GET", fmt.Sprintf("%s?%s&page=%d", eventsPath, query, page), "")
		results, _ := list.get("results").([]any)
		for i := range results {
			keys = append(keys, list.str("results", i, "pk"))
		}
		next, _ := list.get("pagination", "next").(float64)
		counts[list.get("pagination", "count")] = true
		page = int(next)
	}
	if len(counts) != 1 || !counts[float64(len(keys))] {
		f.t.Errorf("%s: the counts of the pages are %v of %d", query, counts, len(keys))
	}
	return keys
}

// phrases are what the events of the model say. They fold, look like wildcards, or are short.
var phrases = []string{"Straße STRASSE ẞ", "İstanbul ısı I", "ΣΊΣΥΦΟΣ Σίσυφος ς", "50%_off", `back\slash \n`, `"quoted" 'x'y'`, "😀😀 👩‍🚀", "漢字 漢", "a", "Ab",
	"300 K and K", "null", "é e\u0301", "disk backup", "the disk", "login_failed", "\u00a0nbsp", "𝒳𝒴"}

// searchModel is random events, and what is done to them.
type searchModel struct {
	*fixture
	r *rand.Rand
}

func (m *searchModel) pick(list []string) string { return list[m.r.IntN(len(list))] }

// text is some phrases as a JSON text.
func (m *searchModel) text() string {
	return string(drf.AppendString(nil, m.pick(phrases)+" "+m.pick(phrases)))
}

// change does something to the events or to their index.
func (m *searchModel) change() {
	all := m.events()
	one := all[m.r.IntN(len(all))].PK
	path := eventsPath + one + "/"
	x := &indexer{db: m.db, log: m.server.log}
	switch n := m.r.IntN(20); {
	case n < 6:
		m.must(201, "POST", eventsPath, fmt.Sprintf(`{"action":"custom_%d","app":%s,"context":{"message":%s},"client_ip":"10.0.0.%d"}`, m.r.IntN(3), m.text(), m.text(), m.r.IntN(20)))
	case n < 9:
		m.must(200, "PATCH", path, `{"context":{"message":`+m.text()+`}}`)
	case n < 11:
		m.must(204, "DELETE", path, "")
	case n < 13: // as retention does; the numbers of the last ones come again
		newest := slices.SortedFunc(slices.Values(all), func(a, b Event) int { return compareAge(b, a) })
		err := m.db.Write(m.t.Context(), func(tx *sqldb.Tx) error {
			counts := tally{}
			for _, e := range newest[:min(m.r.IntN(4), len(newest)-1)] {
				if err := deleteEvent(tx, e.PK, counts); err != nil {
					return err
				}
			}
			return counts.Write(tx)
		})
		if err != nil {
			m.t.Fatal(err)
		}
	case n < 15:
		m.nextZone()
	case n < 17:
		m.index()
	case m.db.Postgres():
	case n < 18: // too much is stale
		if err := x.make(m.t.Context(), m.row("SELECT rowid >> 13 FROM event WHERE pk = $1", one)); err != nil {
			m.t.Fatal(err)
		}
	case n < 19: // a kill while a zone is made
		err := m.db.Write(m.t.Context(), func(tx *sqldb.Tx) error {
			_, err := beginZone(tx, m.row("SELECT rowid >> 13 FROM event WHERE pk = $1", one))
			return err
		})
		if err != nil {
			m.t.Fatal(err)
		}
	default:
		m.exec(m.t, "UPDATE event_trigram SET data = substr(data, 1, 30) WHERE zone = (SELECT max(zone) FROM event_trigram)")
	}
}

// searchOrders are orderings and how they compare.
var searchOrders = map[string]func(a, b Event) int{
	"-created": func(a, b Event) int { return compareAge(b, a) },
	"created":  compareAge,
	"app":      func(a, b Event) int { return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.PK, b.PK)) },
}

func compareAge(a, b Event) int {
	return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.PK, b.PK))
}

// search asks for random terms in the API, and reads all events to know the answer.
func (m *searchModel) search() {
	m.t.Helper()
	var terms []string
	for range 1 + m.r.IntN(2) {
		phrase := []rune(m.pick(phrases))
		from := m.r.IntN(len(phrase))
		term := string(phrase[from : from+1+m.r.IntN(min(6, len(phrase)-from))])
		if m.r.IntN(2) == 0 {
			term = strings.ToUpper(term)
		}
		terms = append(terms, term)
	}
	order := m.pick([]string{"-created", "-created", "created", "app"})
	query := url.Values{"search": {strings.Join(terms, " ")}, "ordering": {order}, "page_size": {fmt.Sprint(1 + m.r.IntN(9))}}
	filters := func(Event) bool { return true }
	all := m.events()
	switch m.r.IntN(5) {
	case 0:
		query.Set("actions", "custom_1")
		filters = func(e Event) bool { return e.Action == "custom_1" }
	case 1:
		query.Set("client_ip", "10.0.0.7")
		filters = func(e Event) bool { return e.ClientIP != nil && *e.ClientIP == "10.0.0.7" }
	case 2:
		since := all[m.r.IntN(len(all))].Created
		query.Set("created__gte", time.UnixMicro(since).UTC().Format(time.RFC3339Nano))
		filters = func(e Event) bool { return e.Created >= since }
	}
	words := strings.FieldsFunc(drf.Fold(strings.Join(terms, " ")), func(r rune) bool { return r == ',' || r == ' ' || r == '\u00a0' })
	want := slices.DeleteFunc(all, func(e Event) bool {
		text := foldEvent(&e)
		return !filters(e) || slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
	})
	slices.SortFunc(want, searchOrders[order])
	var keys []string
	for _, e := range want {
		keys = append(keys, e.PK)
	}
	if diff := difference.Diff(keys, m.listed(query.Encode())); diff != "" {
		m.t.Errorf("%s: %s", query.Encode(), diff)
	}
}

// TestSearchFindsExactlyTheEventsThatHoldEveryTerm does random things and asks at every moment.
func TestSearchFindsExactlyTheEventsThatHoldEveryTerm(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		m := &searchModel{f, rand.New(rand.NewPCG(seed, 0))}
		f.must(201, "POST", eventsPath, `{"action":"login","app":"first"}`)
		indexed := int64(0)
		for range 300 {
			m.change()
			m.search()
			if !f.db.Postgres() {
				indexed = max(indexed, f.row("SELECT count(*) FROM event_zone WHERE newest IS NOT NULL"))
			}
		}
		if !f.db.Postgres() && indexed < 3 {
			t.Errorf("only %d zones were indexed", indexed)
		}
	})
}

// searched answers which of the events, by their apps, a search finds.
func (f *fixture) searched(term string) string {
	f.t.Helper()
	list := f.must(200, "GET", eventsPath+"?search="+url.QueryEscape(term), "")
	var apps []string
	results, _ := list.get("results").([]any)
	for i := range results {
		apps = append(apps, list.str("results", i, "app"))
	}
	return strings.Join(apps, " ")
}

// zones makes three zones of three events each, and an event behind them.
func (f *fixture) zones() {
	f.t.Helper()
	for i := range 10 {
		f.must(201, "POST", eventsPath, fmt.Sprintf(`{"action":"login","app":"app%d","context":{"message":"needle%d of hay"}}`, i, i))
		if i%3 == 0 && i > 0 {
			f.nextZone()
		}
	}
	f.index()
	if n := f.row("SELECT count(*) FROM event_zone WHERE newest IS NOT NULL"); n != 3 {
		f.t.Fatalf("%d zones", n)
	}
}

// sqlite runs a test on SQLite, which alone has an index.
func sqlite(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	test(t, newFixture(t, sqldbtest.Open(t, sqldb.Options{}), t.Output()))
}

func TestAChangedEventIsFoundByItsNewTextOnly(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		f.zones()
		pk := f.must(200, "GET", eventsPath+"?search=needle4", "").str("results", 0, "pk")
		f.must(200, "PATCH", eventsPath+pk+"/", `{"context":{"message":"nothing"}}`)
		f.exec(t, "DELETE FROM event WHERE action <> 'login'") // the trail has both texts
		for range 2 {
			if got := f.searched("needle4"); got != "" {
				t.Errorf("the old text finds %s", got)
			}
			if got := f.searched("nothing"); got != "app4" {
				t.Errorf("the new text finds %q", got)
			}
			if err := (&indexer{db: f.db, log: f.server.log}).make(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if n := f.row("SELECT count(*) FROM event_stale"); n != 0 {
				t.Errorf("%d events are stale still", n)
			}
		}
	})
}

// TestAnEventWithTheNumberOfADeletedOneIsFound empties the log, from which on SQLite gives the numbers again.
func TestAnEventWithTheNumberOfADeletedOneIsFound(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		f.zones()
		f.index()
		f.exec(t, "DELETE FROM event")
		f.index()
		f.must(201, "POST", eventsPath, `{"action":"login","app":"again","context":{"message":"haystack"}}`)
		if number := f.row("SELECT max(rowid) FROM event"); number != 1 {
			t.Fatalf("the number is %d", number)
		}
		if got := f.searched("haystack"); got != "again" {
			t.Errorf("found: %q", got)
		}
		if n := f.row("SELECT count(*) FROM event_trigram"); n != 0 {
			t.Errorf("%d blocks of deleted events are kept", n)
		}
	})
}

// TestADamagedIndexIsMadeAnew finds everything in spite of it.
func TestADamagedIndexIsMadeAnew(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		f.zones()
		f.exec(t, "UPDATE event_trigram SET data = zeroblob(100) WHERE zone = 1")
		if got := f.searched("needle4"); got != "app4" {
			t.Errorf("found: %q", got)
		}
		if n := f.row("SELECT count(*) FROM event_zone WHERE zone = 1"); n != 0 {
			t.Error("the zone is still there")
		}
		f.index()
		if n := f.row("SELECT count(*) FROM event_zone WHERE newest IS NOT NULL"); n != 3 {
			t.Errorf("%d zones", n)
		}
	})
}

// TestAnIndexOfOtherNumbersIsThrownAway is about tools that copy the database and give its rows new numbers.
func TestAnIndexOfOtherNumbersIsThrownAway(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		f.zones()
		x := &indexer{db: f.db, log: f.server.log}
		if err := x.verify(t.Context()); err != nil || f.row("SELECT count(*) FROM event_zone") != 3 {
			t.Fatalf("an index that fits was thrown away: %v", err)
		}
		f.exec(t, "UPDATE event SET rowid = -rowid")
		for i, e := range slices.SortedFunc(slices.Values(f.events()), compareAge) {
			f.exec(t, fmt.Sprintf("UPDATE event SET rowid = %d WHERE pk = '%s'", i+1, e.PK))
		}
		if got := f.searched("needle4"); got != "" {
			t.Fatalf("the numbers make no difference: %q", got)
		}
		if err := x.verify(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.index()
		if got := f.searched("needle4"); got != "app4" {
			t.Errorf("found: %q", got)
		}
	})
}

// TestANewestFirstPageReadsNoOlderZoneThanItNeeds makes sure of it by an old zone that cannot be read.
func TestANewestFirstPageReadsNoOlderZoneThanItNeeds(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		f.zones()
		f.exec(t, "UPDATE event_trigram SET data = zeroblob(100) WHERE zone = 0")
		q := &drf.Query{Search: []string{"needle"}}
		where := eventFilter(q)
		for _, c := range []struct {
			need   int64
			newest bool
			broken bool
		}{{1, true, false}, {5, true, false}, {8, true, true}, {math.MaxInt64, true, true}, {1, false, true}} {
			err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
				s, err := planSearch(tx, q, where)
				if err != nil {
					return err
				}
				_, _, err = s.matches(c.need, c.newest)
				return err
			})
			if (err != nil) != c.broken {
				t.Errorf("the first %d, newest first %v: %v", c.need, c.newest, err)
			}
		}
	})
}

// TestACommonTermIsPagedAndCountedInTheOrderOfTime has two full zones, one of them not in the order of time, and more behind.
func TestACommonTermIsPagedAndCountedInTheOrderOfTime(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		const many = 2*trigram.ZoneSize + 500
		insertMany(t, f, many, "login", func(i int) int64 {
			if i > trigram.ZoneSize {
				i = i * 7919 % many // over the whole time, and some twice
			}
			return int64(i) * secondMicros
		})
		f.index()
		if n := f.row("SELECT sum(ordered) FROM event_zone WHERE newest IS NOT NULL"); n != 1 {
			t.Fatalf("%d zones are in the order of time", n)
		}
		f.exec(t, "DELETE FROM event WHERE rowid % 100 = 0")
		all := f.events()
		for _, order := range []string{"-created", "created"} {
			slices.SortFunc(all, searchOrders[order])
			for _, page := range []int{1, 2, 5, 10, 11, 17} {
				for _, term := range []string{"o", "log", "login", "login,x"} {
					query := fmt.Sprintf("?search=%s&ordering=%s&page_size=1000&page=%d", term, order, page)
					list := f.must(200, "GET", eventsPath+query, "")
					from, to := (page-1)*1000, min(page*1000, len(all))
					next, count := page+1, max(countedMatches, to+1)
					if to == len(all) {
						next, count = 0, to
					}
					want := []any{float64(count), float64(next), all[from].PK, all[to-1].PK}
					got := []any{list.get("pagination", "count"), list.get("pagination", "next"), list.get("results", 0, "pk"), list.get("results", to-from-1, "pk")}
					if diff := difference.Diff(want, got); diff != "" {
						t.Errorf("%s: %s", query, diff)
					}
				}
			}
		}
	})
}

// TestTheLongestSearchIsAnswered is about SQLite's limit on what LIKE looks for, with characters of four bytes and wildcards.
func TestTheLongestSearchIsAnswered(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, character := range []string{"😀", "%", "_"} {
			text := strings.Repeat(character, 10_000)
			f.must(201, "POST", eventsPath, `{"action":"login","app":"long","context":{"text":"`+text+`"}}`)
			if got := f.searched(text); got != "long" {
				t.Errorf("%s: found %q", character, got)
			}
			f.must(200, "GET", eventsPath+"?action="+url.QueryEscape(text), "")
			f.must(400, "GET", eventsPath+"?search="+url.QueryEscape(text+character), "")
		}
	})
}

// TestStaleZonesAreMadeAnew is the background's choice: a zone with many changes, and none with few.
func TestStaleZonesAreMadeAnew(t *testing.T) {
	sqlite(t, func(t *testing.T, f *fixture) {
		f.zones()
		for _, c := range []struct{ stale, want int64 }{{staleInZone - 1, staleInZone - 1}, {staleInZone, 0}} {
			f.exec(t, fmt.Sprintf(`INSERT INTO event_stale (number) WITH RECURSIVE stale (n) AS (VALUES (%d) UNION ALL SELECT n + 1 FROM stale LIMIT %d)
				SELECT n FROM stale WHERE true ON CONFLICT DO NOTHING`, trigram.ZoneSize, c.stale))
			f.index()
			if n := f.row("SELECT count(*) FROM event_stale"); n != c.want {
				t.Errorf("%d of %d are stale, want %d", n, c.stale, c.want)
			}
		}
	})
}

// TestTheSearchIndexSurvivesKills kills the server while it indexes, until all is indexed, and searches in between.
func TestTheSearchIndexSurvivesKills(t *testing.T) {
	p := &program{t: t, database: filepath.Join(t.TempDir(), "belfry.db")}
	const zones = 3
	interrupted := 0
	for kills, finished := 0, int64(-1); finished < zones; kills++ {
		if kills > 50 {
			t.Fatalf("%d zones after %d kills", finished, kills)
		}
		db, err := openStore(t.Context(), p.database, identity.HashKey(adminKey), slog.New(slog.NewTextHandler(t.Output(), nil)))
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{t: t, db: db}
		if kills == 0 {
			insertMany(t, f, zones*trigram.ZoneSize+100, "login", func(i int) int64 { return int64(i) })
		}
		finished = f.row("SELECT count(*) FROM event_zone WHERE newest IS NOT NULL")
		if kills > 0 && finished < zones {
			interrupted++
		}
		if n := f.row("SELECT count(*) FROM pragma_foreign_key_check"); n > 0 {
			t.Errorf("%d blocks of no zone", n)
		}
		var sound string
		err = db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row("PRAGMA quick_check", nil, &sound) })
		if err := errors.Join(err, db.Close()); err != nil || sound != "ok" {
			t.Fatalf("%s %v", sound, err)
		}
		p.start()
		for i := range kills + 1 { // a little longer each time
			want := fmt.Sprintf("%012d", i*5003%(zones*trigram.ZoneSize))
			status, list, err := p.call("GET", eventsPath+"?search="+want, "")
			results, _ := list["results"].([]any)
			if err != nil || status != 200 || len(results) != 1 {
				t.Errorf("%s: %d %v %v", want, status, list, err)
			}
		}
		p.kill()
	}
	if interrupted == 0 {
		t.Error("no kill came before all was indexed")
	}
}
