package main

import (
	"database/sql"
	"errors"
	"fmt"
	"math"

	"belfry/internal/sqldb"
)

const (
	// seenPart is how many notifications that were seen one question looks at.
	seenPart = 20_000
	// seenQuestions is how many of them one read asks.
	seenQuestions = 100
)

// seenPass goes through the notifications that were seen, one user after the other and each's in the order of time. It does so in
// parts: no read takes long, however many there are. They may be of any time: the clock may have been ahead when they were made.
type seenPass struct {
	before        int64 // what was seen before then is due
	size          int   // of a part, in notifications
	user, created int64 // where it goes on
	done          bool
}

// find goes on until some are due, or for a while, and answers their keys.
func (p *seenPass) find(tx *sqldb.Tx) (due []string, err error) {
	for n := 0; n < seenQuestions && len(due) == 0 && !p.done && err == nil; n++ {
		due, err = p.part(tx)
	}
	if err != nil {
		return nil, fmt.Errorf("look for notifications that were seen: %w", err)
	}
	return due, nil
}

// part looks at the next part of a user's.
func (p *seenPass) part(tx *sqldb.Tx) ([]string, error) {
	var user sql.NullInt64
	if err := tx.Row("SELECT MIN(user_pk) FROM notification WHERE user_pk >= $1", []any{p.user}, &user); err != nil {
		return nil, err
	}
	if p.done = !user.Valid; p.done {
		return nil, nil
	}
	if user.Int64 > p.user {
		p.user, p.created = user.Int64, math.MinInt64
	}
	end := int64(math.MaxInt64)
	err := tx.Row("SELECT created FROM notification WHERE user_pk = $1 AND seen = $2 AND created >= $3 ORDER BY created LIMIT 1 OFFSET $4",
		[]any{p.user, true, p.created, p.size}, &end)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	last := int64(0)
	due, err := sqldb.All(tx, func(row sqldb.Scanner) (pk string, err error) {
		err = row.Scan(&pk, &last)
		return pk, err
	}, "SELECT pk, created FROM notification"+tx.By("notification_user_seen")+` WHERE user_pk = $1 AND seen = $2 AND created >= $3 AND created <= $4 AND seen_at < $5
		ORDER BY created LIMIT $6`, p.user, true, p.created, end, p.before, sweepBatch)
	if err != nil {
		return nil, err
	}
	switch {
	case len(due) == sweepBatch: // there may be more
		p.created = last
	case end == math.MaxInt64:
		p.user, p.created = p.user+1, math.MinInt64
	default:
		p.created = end + 1
	}
	return due, nil
}

// deleteAll deletes what is still due of a batch, and answers how many that were.
func deleteAll(tx *sqldb.Tx, due []string, before int64) (deleted int, err error) {
	for _, pk := range due {
		n, err := tx.Exec("DELETE FROM notification WHERE pk = $1 AND seen_at < $2", pk, before)
		if err != nil {
			return 0, fmt.Errorf("delete a notification that was seen: %w", err)
		}
		deleted += int(n)
	}
	return deleted, nil
}
