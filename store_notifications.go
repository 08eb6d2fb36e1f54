package main

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// notificationColumns are the columns that scanNotification reads, in its order; the event's may all be null.
const notificationColumns = `n.pk, n.user_pk, n.rule_pk, n.transport_pk, n.severity, n.body, n.hyperlink, n.hyperlink_label,
	n.created, n.seen, n.seen_at, ` + eventColumns

// eventOfNotification joins a notification with its event.
const eventOfNotification = " LEFT JOIN event e ON e.pk = n.event_pk"

// scanNotification reads one row of notificationColumns.
func scanNotification(row sqldb.Scanner) (Notification, error) {
	s := new(struct { // one object, because each variable of its own would be one
		n                                         Notification
		rule, transport                           sql.NullString
		pk, action, app, origin, user, ctx, brand sql.NullString
		created, expires                          sql.NullInt64
		ip                                        *string
	})
	n := &s.n
	err := row.Scan(&n.PK, &n.UserPK, &s.rule, &s.transport, &n.Severity, &n.Body, &n.Hyperlink, &n.HyperlinkLabel,
		&n.Created, &n.Seen, &n.SeenAt,
		&s.pk, &s.created, &s.expires, &s.action, &s.app, &s.ip, &s.origin, &s.user, &s.ctx, &s.brand)
	if err != nil {
		return *n, err
	}
	n.RulePK, n.TransportPK = s.rule.String, s.transport.String
	if s.pk.Valid {
		n.Event = &Event{
			PK: s.pk.String, Created: s.created.Int64, Expires: s.expires.Int64, Action: s.action.String, App: s.app.String, ClientIP: s.ip,
			Origin: Origin(s.origin.String), User: drf.JSON(s.user.String), Context: drf.JSON(s.ctx.String), Brand: drf.JSON(s.brand.String),
		}
	}
	return *n, nil
}

// owner limits a request to one person's notifications; all means everybody's.
type owner struct {
	userPK int64
	all    bool
}

// limit adds the owner's condition.
func (o owner) limit(where *sqldb.Where) {
	if !o.all {
		where.Add("n.user_pk = ?", o.userPK)
	}
}

// getNotification reads one notification with its event; sql.ErrNoRows when the owner has none of that key.
func getNotification(tx *sqldb.Tx, o owner, pk string) (Notification, error) {
	return selectNotification(tx, o, pk, "")
}

// lockNotification reads one that is going to be changed. PostgreSQL cannot lock the nullable side of an
// outer join, so the lock names its table.
func lockNotification(tx *sqldb.Tx, o owner, pk string) (Notification, error) {
	lock := tx.ForUpdate()
	if lock != "" {
		lock += " OF n"
	}
	return selectNotification(tx, o, pk, lock)
}

func selectNotification(tx *sqldb.Tx, o owner, pk, lock string) (Notification, error) {
	const query = "SELECT " + notificationColumns + " FROM notification n" + eventOfNotification + " WHERE n.pk = $1"
	if o.all {
		return sqldb.One(tx, scanNotification, query+lock, pk)
	}
	return sqldb.One(tx, scanNotification, query+" AND n.user_pk = $2"+lock, pk, o.userPK)
}

// insertNotification writes a new, unseen notification; Created is the write's now.
func insertNotification(tx *sqldb.Tx, n *Notification) error {
	n.Created = tx.Now()
	return putNotification(tx, n)
}

// eventPK is the key of the notification's event, nil where it has none.
func (n *Notification) eventPK() *string {
	if n.Event == nil {
		return nil
	}
	return &n.Event.PK
}

// putNotification writes a new notification of any Created, seen or not, as putEvent does.
func putNotification(tx *sqldb.Tx, n *Notification) error {
	_, err := tx.Exec(`INSERT INTO notification (pk, user_pk, event_pk, rule_pk, transport_pk, severity, body, folded, created, seen, seen_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		&n.PK, &n.UserPK, n.eventPK(), orNull(&n.RulePK), orNull(&n.TransportPK), &n.Severity, &n.Body, &n.folded, &n.Created, n.Seen, n.SeenAt)
	if err != nil {
		return fmt.Errorf("insert notification: %w", err)
	}
	return nil
}

// orNull is s, or nil where it is empty.
func orNull(s *string) *string {
	if *s == "" {
		return nil
	}
	return s
}

// updateNotification writes what a client may have changed of before, and the link to the event. An index is written anew
// whenever a column of it is named, changed or not: so nothing is named that is as it was.
func updateNotification(tx *sqldb.Tx, before, n *Notification) (err error) {
	same := equal(before.Hyperlink, n.Hyperlink) && equal(before.HyperlinkLabel, n.HyperlinkLabel) && equal(before.eventPK(), n.eventPK())
	switch {
	case same && before.Seen == n.Seen && equal(before.SeenAt, n.SeenAt):
		return nil
	case same:
		_, err = tx.Exec("UPDATE notification SET seen = $2, seen_at = $3 WHERE pk = $1", &n.PK, n.Seen, n.SeenAt)
	default:
		_, err = tx.Exec(`UPDATE notification SET seen = $2, seen_at = $3, hyperlink = $4, hyperlink_label = $5, event_pk = $6 WHERE pk = $1`,
			n.PK, n.Seen, n.SeenAt, n.Hyperlink, n.HyperlinkLabel, n.eventPK())
	}
	if err != nil {
		return fmt.Errorf("update notification: %w", err)
	}
	return nil
}

// equal reports whether two values are the same, or both null.
func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// deleteNotification removes one of the owner's notifications and answers whose it was; sql.ErrNoRows when there is none
// of that key.
func deleteNotification(tx *sqldb.Tx, o owner, pk string) (userPK int64, err error) {
	n, err := lockNotification(tx, o, pk)
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec("DELETE FROM notification WHERE pk = $1", pk)
	return n.UserPK, err
}

// markSeen marks up to limit unseen notifications of one user and answers how many it found.
func markSeen(tx *sqldb.Tx, userPK int64, limit int) (int64, error) {
	return tx.Exec(`UPDATE notification SET seen = $2, seen_at = $3 WHERE pk IN
		(SELECT pk FROM notification WHERE user_pk = $1 AND seen = $4 ORDER BY created, pk LIMIT $5`+tx.ForUpdate()+`)`,
		userPK, true, time.Now().UnixMicro(), false, limit)
}

// notificationSources are the columns behind the names that ?ordering= takes.
var notificationSources = map[string]string{
	"pk": "n.pk", "severity": "n.severity", "body": "n.body", "created": "n.created", "seen": "n.seen",
	"hyperlink": "COALESCE(n.hyperlink, '')", "hyperlink_label": "COALESCE(n.hyperlink_label, '')",
	"event": "COALESCE(n.event_pk, '')",
}

// listNotifications reads one page of the owner's notifications.
func listNotifications(tx *sqldb.Tx, o owner, q *drf.Query) (sqldb.Page[Notification], error) {
	if err := checkRelations(tx, o, q); err != nil {
		return sqldb.Page[Notification]{}, err
	}
	list := sqldb.List{
		Columns: notificationColumns, From: "notification n", Join: eventOfNotification, Where: notificationFilter(o, q),
		OrderBy: listing.OrderBy(q.Order, notificationSources, "n.pk"), Key: "n.pk",
		Window: q.Window, CountUpTo: countedMatches, Exact: q.Last,
	}
	if len(q.Order) == 1 && q.Order[0].Name == "created" {
		paths, err := notificationPaths(tx, o, q)
		if err != nil {
			return sqldb.Page[Notification]{}, err
		}
		list.Walk = &sqldb.Walk{By: "n.created", Key: "n.pk", Desc: q.Order[0].Desc, Paths: paths}
	}
	return sqldb.Select(tx, list, scanNotification)
}

// notificationPaths are the ways to the notifications that q asks for, in the order of time. Their conditions repeat some of
// notificationFilter's.
func notificationPaths(tx *sqldb.Tx, o owner, q *drf.Query) ([]sqldb.Path, error) {
	if event, ok := q.Text("event"); ok {
		return []sqldb.Path{{Index: "notification_event", Condition: "n.event_pk = ?", Args: []any{event}}}, nil
	}
	user, one := q.Int("user")
	if !o.all {
		user, one = o.userPK, true
	}
	seen, bySeen := q.Bool("seen")
	switch {
	case one && bySeen:
		return []sqldb.Path{inboxPath(user, seen)}, nil
	case one:
		return []sqldb.Path{{Index: "notification_user", Condition: "n.user_pk = ?", Args: []any{user}}}, nil
	case !bySeen:
		return []sqldb.Path{{Index: "notification_created"}}, nil
	}
	owners, err := ownersOfNotifications(tx)
	if err != nil || len(owners) > mostPaths || len(owners) == 0 {
		return []sqldb.Path{{Index: "notification_created"}}, err
	}
	var paths []sqldb.Path
	for _, user := range owners {
		paths = append(paths, inboxPath(user, seen))
	}
	return paths, nil
}

// inboxPath leads to what one user has seen, or not.
func inboxPath(userPK int64, seen bool) sqldb.Path {
	return sqldb.Path{Index: "notification_user_seen", Condition: "n.user_pk = ? AND n.seen = ?", Args: []any{userPK, seen}}
}

// ownersOfNotifications are those who have notifications, seen or not, as far as they are few: each is looked up for itself.
func ownersOfNotifications(tx *sqldb.Tx) ([]int64, error) {
	owners, err := sqldb.All(tx, scanNumber, `WITH RECURSIVE owner (pk) AS (
			SELECT min(user_pk) FROM notification
			UNION ALL SELECT (SELECT min(n.user_pk) FROM notification n WHERE n.user_pk > owner.pk) FROM owner WHERE owner.pk IS NOT NULL
		) SELECT pk FROM owner WHERE pk IS NOT NULL LIMIT $1`, mostPaths+1)
	if err != nil {
		return nil, fmt.Errorf("look up whose notifications there are: %w", err)
	}
	return owners, nil
}

// notificationFilter turns a query into conditions.
func notificationFilter(o owner, q *drf.Query) (where sqldb.Where) {
	o.limit(&where)
	for _, name := range []string{"severity", "body"} {
		if value, ok := q.Text(name); ok {
			where.Add("n."+name+" = ?", value)
		}
	}
	if event, ok := q.Text("event"); ok {
		where.Add("n.event_pk = ?", event)
	}
	if seen, ok := q.Bool("seen"); ok {
		where.Add("n.seen = ?", seen)
	}
	if user, ok := q.Int("user"); ok {
		where.Add("n.user_pk = ?", user)
	}
	for _, filter := range []struct{ name, condition string }{
		{"created", "n.created = ?"}, {"created__gte", "n.created >= ?"}, {"created__lt", "n.created < ?"},
	} {
		if moment, ok := q.Time(filter.name); ok {
			where.Add(filter.condition, moment)
		}
	}
	for _, term := range q.Search {
		where.Add(`n.folded LIKE ? ESCAPE '\'`, "%"+sqldb.EscapeLike(term)+"%")
	}
	return where
}

// checkRelations refuses filters on an event or a user that does not exist for the caller: to those who
// see only their own, everybody else's are as unknown as ones that never were.
func checkRelations(tx *sqldb.Tx, o owner, q *drf.Query) error {
	errs := drf.NewErrors("event", "user")
	const unknown = "Select a valid choice. That choice is not one of the available choices."
	if event, ok := q.Text("event"); ok {
		query, args := "SELECT 1 FROM event WHERE pk = $1", []any{event}
		if !o.all {
			query, args = "SELECT 1 FROM notification WHERE event_pk = $1 AND user_pk = $2 LIMIT 1", []any{event, o.userPK}
		}
		found, err := exists(tx, query, args)
		if err != nil {
			return err
		}
		if !found {
			errs.Add("event", unknown)
		}
	}
	if user, ok := q.Int("user"); ok {
		found := user == o.userPK
		if !found && o.all {
			var err error
			if found, err = exists(tx, "SELECT 1 FROM app_user WHERE pk = $1", []any{user}); err != nil {
				return err
			}
		}
		if !found {
			errs.Add("user", unknown)
		}
	}
	return errs.Err()
}

// exists reports whether a query has a row.
func exists(tx *sqldb.Tx, query string, args []any) (bool, error) {
	var one int
	err := tx.Row(query, args, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
