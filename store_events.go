package main

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// eventColumns are the columns that scanEvent reads, in its order.
const eventColumns = "e.pk, e.created, e.expires, e.action, e.app, e.client_ip, e.origin, e.user_json, e.context, e.brand"

// countedMatches bounds the counting of rows where no counter covers a filter (deviation 10).
const countedMatches = 10_000

// scanEvent reads one row of eventColumns.
func scanEvent(row sqldb.Scanner) (Event, error) {
	var e Event
	err := row.Scan(&e.PK, &e.Created, &e.Expires, &e.Action, &e.App, &e.ClientIP, &e.Origin, &e.User, &e.Context, &e.Brand)
	return e, err
}

// getEvent reads one event; sql.ErrNoRows when there is none.
func getEvent(tx *sqldb.Tx, pk string) (Event, error) {
	return sqldb.One(tx, scanEvent, "SELECT "+eventColumns+" FROM event e WHERE e.pk = $1", pk)
}

// lockEvent reads one event that is going to be changed; sql.ErrNoRows when there is none.
func lockEvent(tx *sqldb.Tx, pk string) (Event, error) {
	return sqldb.One(tx, scanEvent, "SELECT "+eventColumns+" FROM event e WHERE e.pk = $1"+tx.ForUpdate(), pk)
}

// insertEvent writes a new event and tallies it. Created is the write's now; Expires follows from it
// where the event does not say.
func insertEvent(tx *sqldb.Tx, e *Event, c *columns, counts tally) error {
	e.Created = tx.Now()
	return putEvent(tx, e, c, counts)
}

// putEvent writes a new event of any Created and tallies it in that hour. It is for what fills a database with a past;
// whatever happens, happens now: see insertEvent.
func putEvent(tx *sqldb.Tx, e *Event, c *columns, counts tally) error {
	_, err := putEventWith(tx, putEventSQL, e, c, counts)
	return err
}

// insertOnce is insertEvent for an event whose key may be stored already: then it changes nothing and answers false.
func insertOnce(tx *sqldb.Tx, e *Event, c *columns, counts tally) (fresh bool, err error) {
	e.Created = tx.Now()
	return putEventWith(tx, putEventSQL+" ON CONFLICT (pk) DO NOTHING", e, c, counts)
}

const putEventSQL = `INSERT INTO event (pk, created, expires, action, app, client_ip, origin, user_json, context, brand,
			user_pk, username, context_username, model_app, model_name, model_pk, application_pk, application, brand_name, folded)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`

func putEventWith(tx *sqldb.Tx, statement string, e *Event, c *columns, counts tally) (written bool, err error) {
	if e.Expires == 0 && !e.dated {
		e.Expires = e.Created + retentionMicros
	}
	n, err := tx.Exec(statement,
		e.PK, e.Created, e.Expires, e.Action, e.App, e.ClientIP, string(e.Origin), string(e.User), string(e.Context), string(e.Brand),
		c.userPK, c.username, c.contextUsername, c.modelApp, c.modelName, c.modelPK, c.applicationPK, c.application, c.brandName, c.folded)
	if err != nil {
		return false, fmt.Errorf("insert event: %w", err)
	}
	if n > 0 {
		counts.add(e, 1)
	}
	return n > 0, nil
}

// updateEvent writes what was changed of before, and moves it to its new action's counter.
func updateEvent(tx *sqldb.Tx, before, e *Event, c *columns, counts tally) error {
	_, err := tx.Exec(`UPDATE event SET expires = $2, action = $3, app = $4, client_ip = $5, user_json = $6, context = $7, brand = $8,
			user_pk = $9, username = $10, context_username = $11, model_app = $12, model_name = $13, model_pk = $14,
			application_pk = $15, application = $16, brand_name = $17, folded = $18 WHERE pk = $1`,
		e.PK, e.Expires, e.Action, e.App, e.ClientIP, string(e.User), string(e.Context), string(e.Brand),
		c.userPK, c.username, c.contextUsername, c.modelApp, c.modelName, c.modelPK, c.applicationPK, c.application, c.brandName, c.folded)
	if err != nil {
		return fmt.Errorf("update event: %w", err)
	}
	counts.add(before, -1)
	counts.add(e, 1)
	return nil
}

// deleteEvent removes an event, unlinks its notifications and tallies it; sql.ErrNoRows when there is none. Rules that have
// yet to run will not. Like a PATCH of a notification it locks notifications before their event, so that neither waits for the other.
func deleteEvent(tx *sqldb.Tx, pk string, counts tally) error {
	if _, err := tx.Exec("DELETE FROM unmatched WHERE event_pk = $1", pk); err != nil {
		return fmt.Errorf("drop the rules of an event: %w", err)
	}
	if _, err := tx.Exec("UPDATE notification SET event_pk = NULL WHERE event_pk = $1", pk); err != nil {
		return fmt.Errorf("unlink notifications: %w", err)
	}
	e, err := lockEvent(tx, pk)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM event WHERE pk = $1", pk); err != nil {
		return fmt.Errorf("delete event: %w", err)
	}
	counts.add(&e, -1)
	return nil
}

// counterSlots is how many rows an hour's counter is spread over on PostgreSQL, where writers of
// one row wait for each other. Only the sum over the slots means something.
const counterSlots = 16

// tallyKey names a counter: the events of one action in the hour that begins at hour.
type tallyKey struct {
	hour   int64
	action string
}

// tally is by how much a write changes the hourly counters.
type tally map[tallyKey]int64

// add counts n events like e.
func (t tally) add(e *Event, n int64) { t[tallyKey{floorTo(e.Created, hourMicros), e.Action}] += n }

// write adds the tally to the counters, in the order of their keys: writes that meet never wait for each other in a circle.
func (t tally) write(tx *sqldb.Tx) error {
	keys := slices.SortedFunc(maps.Keys(t), func(a, b tallyKey) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.action, b.action))
	})
	slot := 0
	if tx.Postgres() {
		slot = rand.IntN(counterSlots)
	}
	for _, key := range keys {
		if t[key] == 0 {
			continue
		}
		_, err := tx.Exec(`INSERT INTO event_hour (hour, action, slot, count) VALUES ($1, $2, $3, $4)
			ON CONFLICT (hour, action, slot) DO UPDATE SET count = event_hour.count + excluded.count`,
			key.hour, key.action, slot, t[key])
		if err != nil {
			return fmt.Errorf("count events: %w", err)
		}
	}
	return nil
}

// floorTo rounds down to a multiple of step, below zero too.
func floorTo(micros, step int64) int64 {
	rest := micros % step
	if rest < 0 {
		rest += step
	}
	return micros - rest
}

// eventSources are the columns behind the names that ?ordering= takes.
var eventSources = map[string]string{
	"pk": "e.pk", "action": "e.action", "app": "e.app", "client_ip": "COALESCE(e.client_ip, '')",
	"created": "e.created", "expires": "e.expires",
}

// listEvents reads one page of the events that q asks for.
func listEvents(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Event], error) {
	where, counted := eventFilter(q)
	s, err := planSearch(tx, q, where)
	if err != nil {
		return sqldb.Page[Event]{}, err
	}
	if s != nil && s.pages(q) {
		return s.page(q, q.Order[0].Desc)
	}
	if s != nil {
		if where, err = s.narrow(); err != nil {
			return sqldb.Page[Event]{}, err
		}
	}
	list := sqldb.List{
		Columns: eventColumns, From: "event e", Where: where, OrderBy: listing.OrderBy(q.Order, eventSources, "e.pk"),
		Window: q.Window, CountUpTo: countedMatches, Exact: q.Last,
	}
	if counted {
		list.Count = func(tx *sqldb.Tx) (int64, error) { return countEvents(tx, q) }
	}
	return sqldb.Select(tx, list, scanEvent)
}

// exactFilters are the query parameters that name one whole value of a column.
var exactFilters = []struct{ name, column string }{
	{"app", "app"}, {"context_model_app", "model_app"}, {"context_model_name", "model_name"},
	{"context_authorized_app", "application_pk"}, {"brand_name", "brand_name"},
}

// eventFilter turns a query into conditions; counted reports whether the hourly counters cover them.
func eventFilter(q *drf.Query) (where sqldb.Where, counted bool) {
	actionFilter(&where, "e.action", q)
	counted = !indexedFilter(&where, q)
	narrow := func(condition string, args ...any) {
		where.Add(condition, args...)
		counted = false
	}
	for _, filter := range exactFilters {
		if value, ok := q.Text(filter.name); ok {
			narrow("e."+filter.column+" = ?", value)
		}
	}
	if pk, ok := q.Text("context_model_pk"); ok {
		pk = strings.ReplaceAll(pk, "-", "")
		number := pk
		if n, err := strconv.ParseInt(pk, 10, 64); err == nil {
			number = strconv.FormatInt(n, 10)
		}
		narrow("(e.model_pk = ? OR e.model_pk = ?)", pk, number)
	}
	if from, ok := q.Time("created__gte"); ok {
		narrow("e.created >= ?", from)
	}
	if before, ok := q.Time("created__lt"); ok {
		narrow("e.created < ?", before)
	}
	for _, term := range q.Search {
		narrow(`e.folded LIKE ? ESCAPE '\'`, "%"+sqldb.EscapeLike(term)+"%")
	}
	return where, counted
}

// indexedFilter adds those conditions that name a value of an indexed column other than the action; false when there is none.
func indexedFilter(where *sqldb.Where, q *drf.Query) (any bool) {
	if ip, ok := q.Text("client_ip"); ok {
		where.Add("e.client_ip = ?", normalIP(ip))
		any = true
	}
	if name, ok := q.Text("username"); ok {
		where.Add("(e.username = ? OR e.context_username = ?)", name, name)
		any = true
	}
	return any
}

// normalIP is an address as it is stored; what is none is left as it is and matches nothing.
func normalIP(s string) string {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.String()
	}
	return s
}

// actionFilter adds the two filters on the action: a part of its name, and whole names.
func actionFilter(where *sqldb.Where, column string, q *drf.Query) {
	if part, ok := q.Text("action"); ok {
		where.Add(column+` LIKE ? ESCAPE '\'`, "%"+sqldb.EscapeLike(drf.Fold(part))+"%")
	}
	if names := q.Texts("actions"); len(names) > 0 {
		where.In(column, listing.Args(names)...)
	}
}

// countEvents sums the hourly counters of the actions that q asks for.
func countEvents(tx *sqldb.Tx, q *drf.Query) (n int64, err error) {
	var where sqldb.Where
	actionFilter(&where, "h.action", q)
	err = tx.Row("SELECT COALESCE(SUM(h.count), 0) FROM event_hour h"+where.SQL(), where.Args(), &n)
	return n, err
}
