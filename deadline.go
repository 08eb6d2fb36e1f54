package main

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time of its own. A timer is set only when somebody waits for the end: most requests
// are over before anybody does, and a timer each costs them more than who is calling.
type deadline struct {
	context.Context
	at time.Time

	mu       sync.Mutex
	timed    context.Context // nil until somebody waits
	cancel   context.CancelFunc
	released bool
}

// withDeadline is ctx until after a while. Its owner calls release when nobody needs it any more.
func withDeadline(ctx context.Context, after time.Duration) *deadline {
	return &deadline{Context: ctx, at: time.Now().Add(after)}
}

// release ends the context.
func (d *deadline) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released = true
	if d.cancel != nil {
		d.cancel()
	}
}

// current is the context that knows most, and whether nobody needs it any more.
func (d *deadline) current() (ctx context.Context, released bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed != nil {
		return d.timed, d.released
	}
	return d.Context, d.released
}

// Deadline implements [context.Context].
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done implements [context.Context]: somebody waits.
func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		if d.timed, d.cancel = context.WithDeadline(d.Context, d.at); d.released {
			d.cancel()
		}
	}
	return d.timed.Done()
}

// Err implements [context.Context].
func (d *deadline) Err() error {
	ctx, released := d.current()
	switch err := ctx.Err(); {
	case err != nil:
		return err
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	case released:
		return context.Canceled
	}
	return nil
}

// Value implements [context.Context]. What waits for several contexts at once finds the timer's here.
func (d *deadline) Value(key any) any {
	ctx, _ := d.current()
	return ctx.Value(key)
}
