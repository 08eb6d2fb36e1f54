package main

import (
	"fmt"

	"belfry/internal/sqldb"
)

// eventColumns are the columns that scanEvent reads, in its order.
const eventColumns = "e.pk, e.created, e.expires, e.action, e.app, e.client_ip, e.origin, e.user_json, e.context, e.brand"

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
	// By pointers, of which an interface takes no copy.
	n, err := tx.Exec(statement,
		&e.PK, &e.Created, &e.Expires, &e.Action, &e.App, e.ClientIP, (*string)(&e.Origin), (*string)(&e.User), (*string)(&e.Context), (*string)(&e.Brand),
		c.userPK, c.username, c.contextUsername, c.modelApp, c.modelName, c.modelPK, c.applicationPK, c.application, c.brandName, &c.folded)
	if err != nil {
		return false, fmt.Errorf("insert event: %w", err)
	}
	if n > 0 {
		counts.add(e, 1)
		counts.addUse(e.Action, c.use(), 1)
	}
	return n > 0, nil
}

// updateEvent writes what was changed of before, and moves it to its new action's counter.
func updateEvent(tx *sqldb.Tx, before, e *Event, c *columns, counts tally) error {
	was, err := readUse(tx, e.PK)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE event SET expires = $2, action = $3, app = $4, client_ip = $5, user_json = $6, context = $7, brand = $8,
			user_pk = $9, username = $10, context_username = $11, model_app = $12, model_name = $13, model_pk = $14,
			application_pk = $15, application = $16, brand_name = $17, folded = $18 WHERE pk = $1`,
		e.PK, e.Expires, e.Action, e.App, e.ClientIP, string(e.User), string(e.Context), string(e.Brand),
		c.userPK, c.username, c.contextUsername, c.modelApp, c.modelName, c.modelPK, c.applicationPK, c.application, c.brandName, c.folded)
	if err != nil {
		return fmt.Errorf("update event: %w", err)
	}
	counts.add(before, -1)
	counts.addUse(before.Action, was, -1)
	counts.add(e, 1)
	counts.addUse(e.Action, c.use(), 1)
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
	was, err := readUse(tx, pk)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM event WHERE pk = $1", pk); err != nil {
		return fmt.Errorf("delete event: %w", err)
	}
	counts.add(&e, -1)
	counts.addUse(e.Action, was, -1)
	return nil
}
