package delivery

import (
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
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
// count on after a restart. It may be used from any goroutine.
type clock struct {
	wall    func() time.Time
	started time.Time    // what has passed since is measured by the monotonic clock
	base    atomic.Int64 // what this clock said then
	noted   clockNote    // is the worker's alone
}

// clockNote is what this clock said when the machine's said wall.
type clockNote struct{ wall, time int64 }

// newClock is a clock that says what the machine's says.
func newClock(wall func() time.Time) *clock {
	c := &clock{wall: wall, started: time.Now()}
	c.base.Store(wall().UnixMicro())
	return c
}

// load lets the clock count on from its note, where there is one.
func (c *clock) load(tx *sqldb.Tx) error {
	var n clockNote
	err := tx.Row(`SELECT wall, time FROM delivery_clock WHERE pk = 1`, nil, &n.wall, &n.time)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the worker's clock: %w", err)
	}
	gap := c.wall().UnixMicro() - n.wall
	c.base.Store(n.time + min(max(gap, 0), longestGap.Microseconds()) - time.Since(c.started).Microseconds())
	c.noted = n
	return nil
}

// now is the time.
func (c *clock) now() int64 { return c.base.Load() + time.Since(c.started).Microseconds() }

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
