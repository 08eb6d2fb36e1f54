package delivery

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"belfry/internal/sqldb"
)

const (
	// longestGap is the most that the worker's clock takes from the machine's for the time in which it did not run: more
	// than every wait between attempts, so that more would change nothing.
	longestGap = 27 * time.Hour
	// clockStep is how far the machine's clock may drift from the worker's, and clockAge how old the note of
	// both may become, before a new one is written.
	clockStep = time.Second
	clockAge  = time.Hour
)

// clock is the time that waits go by, in microseconds. It is the machine's clock until that one is set forward or back:
// then it counts on, so that nothing is due all at once, and nothing only in years. A note in the database lets it
// count on after a restart.
type clock struct {
	wall    func() time.Time
	started time.Time // of this process; what has passed since is measured by the monotonic clock
	base    int64     // what this clock said then
	noted   clockNote
}

// clockNote is what this clock said when the machine's said wall.
type clockNote struct{ wall, time int64 }

// loadClock starts a clock from its note, or from the machine's clock where there is none.
func loadClock(tx *sqldb.Tx, wall func() time.Time) (*clock, error) {
	c := &clock{wall: wall, started: time.Now()}
	now := wall().UnixMicro()
	err := tx.Row(`SELECT wall, time FROM delivery_clock WHERE pk = 1`, nil, &c.noted.wall, &c.noted.time)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		c.base = now
	case err != nil:
		return nil, fmt.Errorf("read the worker's clock: %w", err)
	default:
		c.base = c.noted.time + min(max(now-c.noted.wall, 0), longestGap.Microseconds())
	}
	return c, nil
}

// now is the time.
func (c *clock) now() int64 { return c.base + time.Since(c.started).Microseconds() }

// note is what both clocks say.
func (c *clock) note() clockNote { return clockNote{wall: c.wall().UnixMicro(), time: c.now()} }

// due is the note that is to be written because the last one is old, or because the clocks have parted since; nil for none.
func (c *clock) due() *clockNote {
	n := c.note()
	elapsed := n.time - c.noted.time
	drift := n.wall - c.noted.wall - elapsed
	if elapsed <= clockAge.Microseconds() && drift <= clockStep.Microseconds() && drift >= -clockStep.Microseconds() {
		return nil
	}
	return &n
}

// saveClock writes a note.
func saveClock(tx *sqldb.Tx, n clockNote) error {
	_, err := tx.Exec(`INSERT INTO delivery_clock (pk, wall, time) VALUES (1, $1, $2)
		ON CONFLICT (pk) DO UPDATE SET wall = excluded.wall, time = excluded.time`, n.wall, n.time)
	if err != nil {
		return fmt.Errorf("note the worker's clock: %w", err)
	}
	return nil
}
