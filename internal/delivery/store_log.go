package delivery

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// countedDeliveries bounds the counting of what a filter finds: beyond, the count is a lower bound.
const countedDeliveries = 10_000

// loggedColumns are those of a delivery, and whether it waits for its transport to be enabled.
const loggedColumns = deliveryColumns + `, due IS NOT NULL AND
	EXISTS (SELECT 1 FROM transport t WHERE t.pk = delivery.transport_pk AND t.disabled_at IS NOT NULL)`

// listedColumns are the same without the body, which may be long, for many deliveries.
var listedColumns = strings.Replace(loggedColumns, " body,", " '' AS body,", 1)

func scanLogged(row sqldb.Scanner) (l Logged, err error) {
	l.Delivery, err = scanDelivery(also{row, []any{&l.Parked}})
	return l, err
}

// also is a row that has more columns behind those that are asked for.
type also struct {
	row  sqldb.Scanner
	more []any
}

// Scan reads the columns that are asked for, and the others.
func (a also) Scan(dest ...any) error { return a.row.Scan(append(dest, a.more...)...) }

// loggedOrders are the columns behind the names that ?ordering= takes.
var loggedOrders = map[string]string{"created": "created", "state": "state", "transport": "transport_pk", "recipient": "user_pk"}

// filtersOfLog are the filters of a query, those first that leave fewer deliveries as a rule.
func filtersOfLog(q *drf.Query) (filters []listing.Filter) {
	if event, ok := q.Text("event"); ok {
		f := listing.Equals("event_pk", "", event)
		f.Paths = []sqldb.Path{{Condition: f.Condition, Args: f.Args}} // there is but one index
		filters = append(filters, f)
	}
	for _, filter := range [][3]string{{"rule", "rule_pk", "delivery_rule"}, {"transport", "transport_pk", "delivery_transport"}} {
		if pk, ok := q.Text(filter[0]); ok {
			filters = append(filters, listing.Equals(filter[1], filter[2], pk))
		}
	}
	if user, ok := q.Int("recipient"); ok {
		filters = append(filters, listing.Equals("user_pk", "delivery_user", user))
	}
	if states := q.Texts("state"); len(states) > 0 {
		filters = append(filters, listing.OneOf("state", "delivery_state", states))
	}
	for _, bound := range [][2]string{{"created__gte", "created >= ?"}, {"created__lt", "created < ?"}} {
		if moment, ok := q.Time(bound[0]); ok {
			filters = append(filters, listing.Filter{Condition: bound[1], Args: []any{moment}})
		}
	}
	for _, term := range q.Search {
		filters = append(filters, listing.Filter{Condition: `folded LIKE ? ESCAPE '\'`, Args: []any{"%" + sqldb.EscapeLike(term) + "%"}})
	}
	return filters
}

// loggedFilter turns a query into conditions.
func loggedFilter(q *drf.Query) (where sqldb.Where) {
	for _, f := range filtersOfLog(q) {
		where.Add(f.Condition, f.Args...)
	}
	return where
}

// listLogged reads the page of the log that q asks for.
func listLogged(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Logged], error) {
	found, err := listing.Choose(tx, "delivery", "delivery_created", filtersOfLog(q), countedDeliveries)
	if err != nil {
		return sqldb.Page[Logged]{}, err
	}
	list := sqldb.List{
		Columns: listedColumns, From: "delivery", Where: found.All, OrderBy: listing.OrderBy(q.Order, loggedOrders, "pk"), Key: "delivery.pk",
		Window: q.Window, CountUpTo: countedDeliveries, Exact: q.Last,
	}
	if len(q.Order) == 1 && q.Order[0].Name == "created" {
		list.Where, list.Walk = found.Where, &sqldb.Walk{By: "created", Key: "pk", Desc: q.Order[0].Desc, Paths: found.Paths}
	}
	page, err := sqldb.Select(tx, list, scanLogged)
	if err != nil {
		return page, fmt.Errorf("list deliveries: %w", err)
	}
	return page, nil
}

// getLogged reads one delivery with its attempts; 404 for none.
func getLogged(tx *sqldb.Tx, pk string) (Logged, error) {
	l, err := sqldb.One(tx, scanLogged, `SELECT `+loggedColumns+` FROM delivery WHERE pk = $1`, pk)
	if errors.Is(err, sql.ErrNoRows) {
		return l, drf.NotFound()
	}
	if err != nil {
		return l, fmt.Errorf("read delivery: %w", err)
	}
	l.Tries, err = sqldb.All(tx, scanAttempt, `SELECT `+attemptColumns+`
		FROM delivery_attempt WHERE delivery_pk = $1 ORDER BY number`, pk)
	if err != nil {
		return l, fmt.Errorf("read attempts: %w", err)
	}
	return l, nil
}

func scanAttempt(row sqldb.Scanner) (a Attempt, err error) {
	err = row.Scan(&a.DeliveryPK, &a.Number, &a.Started, &a.Duration, &a.Status, &a.Error, &a.Answer, &a.Headers)
	return a, err
}

// lockLogged reads deliveries that are going to be changed, by ascending pk. What they need in order to be sent is held first, so
// that it is not deleted meanwhile, and in the order in which a deletion takes it.
func lockLogged(tx *sqldb.Tx, pks []string) (found []Logged, needs needs, err error) {
	var where sqldb.Where
	where.In("pk", listing.Args(pks)...)
	if needs, err = holdNeeds(tx, where); err != nil {
		return nil, needs, err
	}
	found, err = sqldb.All(tx, scanLogged, `SELECT `+listedColumns+` FROM delivery`+where.SQL()+` ORDER BY pk`+tx.ForUpdate(), where.Args()...)
	if err != nil {
		return nil, needs, fmt.Errorf("read deliveries: %w", err)
	}
	return found, needs, nil
}

func scanText(row sqldb.Scanner) (s string, err error) { return s, row.Scan(&s) }

func scanInt(row sqldb.Scanner) (n int64, err error) { return n, row.Scan(&n) }

// needs are the transports and recipients of some deliveries, as far as they are there.
type needs struct {
	transports []string
	users      []int64
}

func holdNeeds(tx *sqldb.Tx, where sqldb.Where) (n needs, err error) {
	n.transports, err = sqldb.All(tx, scanText, `SELECT pk FROM transport WHERE pk IN (SELECT transport_pk FROM delivery`+where.SQL()+`)
		ORDER BY pk`+tx.ForShare(), where.Args()...)
	if err != nil {
		return n, fmt.Errorf("hold the transports of deliveries: %w", err)
	}
	n.users, err = sqldb.All(tx, scanInt, `SELECT pk FROM app_user WHERE pk IN (SELECT user_pk FROM delivery`+where.SQL()+`)
		ORDER BY pk`+tx.ForShare(), where.Args()...)
	if err != nil {
		return n, fmt.Errorf("hold the recipients of deliveries: %w", err)
	}
	return n, nil
}

// startAgain makes deliveries due at once, with a schedule of their own.
func startAgain(tx *sqldb.Tx, pks []string) error {
	var where sqldb.Where
	where.In("pk", listing.Args(pks)...)
	_, err := tx.Exec(`UPDATE delivery SET state = 'pending', reason = '', due = 0, step = 0, settled = NULL`+where.SQL(), where.Args()...)
	if err != nil {
		return fmt.Errorf("send deliveries again: %w", err)
	}
	return nil
}

// cancelDelivery ends a delivery that waits.
func cancelDelivery(tx *sqldb.Tx, pk, reason string) error {
	_, err := tx.Exec(`UPDATE delivery SET state = 'cancelled', reason = $2, due = NULL, settled = $3 WHERE pk = $1`, pk, reason, tx.Now())
	if err != nil {
		return fmt.Errorf("cancel delivery: %w", err)
	}
	return nil
}

// chosen is the deliveries that a query and some states choose, batch by batch in the order of their creation.
type chosen struct {
	query  *drf.Query
	states []string
	until  int64 // what is younger than the first batch is left alone
	last   mark  // of the batch before
}

// mark is the place of a delivery in the order of creation.
type mark struct {
	created int64
	pk      string
}

// next reads the keys of the next batch.
func (c *chosen) next(tx *sqldb.Tx, limit int) ([]string, error) {
	if c.until == 0 {
		c.until = tx.Now()
	}
	where := loggedFilter(c.query)
	where.In("state", listing.Args(c.states)...)
	where.Add("created <= ?", c.until)
	where.Add("(created, pk) > (?, ?)", c.last.created, c.last.pk)
	found, err := sqldb.All(tx, scanMark, fmt.Sprintf(`SELECT created, pk FROM delivery%s ORDER BY created, pk LIMIT %d`,
		where.SQL(), limit), where.Args()...)
	if err != nil {
		return nil, fmt.Errorf("read deliveries to send again: %w", err)
	}
	pks := make([]string, len(found))
	for i, m := range found {
		pks[i], c.last = m.pk, m
	}
	return pks, nil
}

func scanMark(row sqldb.Scanner) (m mark, err error) { return m, row.Scan(&m.created, &m.pk) }

// Depths are how many deliveries wait or are being sent, and how many have been given up.
func Depths(tx *sqldb.Tx) (waiting, dead int64, err error) {
	const count = `SELECT (SELECT COUNT(*) FROM delivery WHERE state = $1) + (SELECT COUNT(*) FROM delivery WHERE state = $2),
		(SELECT COUNT(*) FROM delivery WHERE state = $3)`
	if err := tx.Row(count, []any{StatePending, StateSending, StateDead}, &waiting, &dead); err != nil {
		return 0, 0, fmt.Errorf("count deliveries: %w", err)
	}
	return waiting, dead, nil
}
