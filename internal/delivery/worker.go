package delivery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"belfry/internal/identity"
	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

const (
	// pollTime is how often all transports are looked at, woken or not: what a process that died held is found then.
	pollTime = leaseTime
	// faultPause is how long a worker waits after the database failed it.
	faultPause = time.Second
	// drainTime is what attempts that are under way get to end in when the worker is told to stop.
	drainTime = 8 * time.Second
)

// Options are what a [Worker] works with. The funcs are how its news reach what is above it: each but Event
// prepares something outside of a write and answers how to write it.
type Options struct {
	DB     *sqldb.DB
	Log    *slog.Logger
	Client *outbound.Client
	Mailer *outbound.Mailer // nil: no server for e-mail is configured
	Runner *script.Runner
	Render RenderOptions

	// Event reads an event as expressions see it, nil for one that is gone.
	Event func(tx *sqldb.Tx, pk string) (*script.Event, error)
	// Changed hears, after the commit, which delivery an attempt has changed.
	Changed func(pk string)
	// Notice tells superusers something about a transport.
	Notice func(body string) func(tx *sqldb.Tx) error
	// MailSent records an e-mail that was taken by the server.
	MailSent func(to string, mail outbound.Mail) func(tx *sqldb.Tx) error
	// MappingFailed records a mapping that failed.
	MappingFailed func(f *Failure) func(tx *sqldb.Tx) error

	// Clock is time.Now unless a test says otherwise.
	Clock func() time.Time
}

// Worker sends what is due: it claims deliveries by lease, makes attempts outside any transaction, and settles them. One
// goroutine, that of [Worker.Run], decides; each attempt has one of its own. Several workers may share a PostgreSQL database.
type Worker struct {
	opt   Options
	name  string // begins all its leases
	clock *clock
	ended chan *attempt
	wake  chan struct{}

	mu       sync.Mutex      // guards what Wake leaves
	woken    map[string]bool // transports
	wokenAll bool

	// What follows is Run's alone.
	lanes      map[string]*lane
	snapshot   *Snapshot
	generation int64 // of the snapshot
	turns      int64
	looked     int64      // when all transports were looked at last
	unsettled  []*attempt // that have ended
}

// NewWorker makes a worker that does nothing yet by itself.
func NewWorker(opt Options) *Worker {
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	return &Worker{opt: opt, name: sqldb.NewID(), clock: newClock(opt.Clock), ended: make(chan *attempt, maxInFlight), wake: make(chan struct{}, 1),
		lanes: map[string]*lane{}, woken: map[string]bool{}, wokenAll: true, looked: never}
}

// lease is a new one.
func (w *Worker) lease() string { return w.name + " " + sqldb.NewID() }

// takeOver goes on where the last process ended. On SQLite, which one process has open, that one holds nothing any more.
func (w *Worker) takeOver(ctx context.Context) error {
	return w.opt.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := w.clock.load(tx); err != nil || tx.Postgres() {
			return err
		}
		return release(tx, w.name)
	})
}

// Wake says that something may be due: by these transports, or, where none is named, by any, of which some may have
// changed. It is called after a commit and returns at once.
func (w *Worker) Wake(transportPKs ...string) {
	w.mu.Lock()
	for _, pk := range transportPKs {
		w.woken[pk] = true
	}
	w.wokenAll = w.wokenAll || len(transportPKs) == 0
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it will be woken anyway
	}
}

// Run works until ctx ends. Then it claims no more, and gives the attempts that are under way a while to end; what does not
// is sent again by the next run.
func (w *Worker) Run(ctx context.Context) {
	sending, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	next := w.takeOver
	for ctx.Err() == nil {
		if err := next(sending); err != nil {
			w.opt.Log.Error("deliveries wait for the database", "error", err)
			sleep(ctx, faultPause)
			continue
		}
		next = w.work
		w.pause(ctx, w.idle())
	}
	w.drain(abort)
}

// work is one turn: look where it is time to, then settle and claim in one write, then begin the attempts.
func (w *Worker) work(sending context.Context) error {
	if err := w.look(sending); err != nil {
		return err
	}
	plans := w.plan()
	note := w.clock.due()
	if len(plans) == 0 && len(w.unsettled) == 0 && note == nil {
		return nil
	}
	lease, fresh := w.lease(), false
	err := w.opt.DB.Write(sending, func(tx *sqldb.Tx) (err error) {
		if err := w.settleAll(tx, note); err != nil {
			return err
		}
		generation, err := identity.Generation(tx)
		if fresh = generation == w.generation; err != nil || !fresh {
			return err
		}
		return w.claimAll(tx, plans, lease)
	})
	if err != nil {
		w.settleEach(sending)
		return err
	}
	w.unsettled = nil
	if note != nil {
		w.clock.noted = *note
	}
	if !fresh {
		w.snapshot = nil // read anew in the next turn, which is at once: nothing was claimed
		return nil
	}
	w.begin(sending, plans, lease)
	return nil
}

// look reads the transports where they have changed, and when each has something due where that is not known.
func (w *Worker) look(ctx context.Context) error {
	w.mu.Lock()
	woken, all := w.woken, w.wokenAll
	w.woken, w.wokenAll = map[string]bool{}, false
	w.mu.Unlock()
	for pk := range woken {
		w.lane(pk).next = 0
	}
	now := w.clock.now()
	all = all || w.snapshot == nil || now-w.looked >= pollTime.Microseconds()
	if !all {
		return nil
	}
	var s *Snapshot
	var generation int64
	next := map[string]int64{}
	err := w.opt.DB.Read(ctx, func(tx *sqldb.Tx) (err error) {
		if generation, err = identity.Generation(tx); err != nil {
			return err
		}
		if s = w.snapshot; s == nil || generation != w.generation {
			if s, err = Load(tx); err != nil {
				return err
			}
		}
		for pk := range s.transports {
			if next[pk], err = nextDue(tx, pk, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.mu.Lock()
		w.wokenAll = true
		w.mu.Unlock()
		return err
	}
	w.snapshot, w.generation, w.looked = s, generation, now
	for pk := range w.lanes {
		if _, ok := next[pk]; !ok && w.lanes[pk].inFlight == 0 {
			delete(w.lanes, pk)
		}
	}
	for pk, due := range next {
		w.lane(pk).next = due
	}
	for _, a := range w.unsettled { // the database still says that they are under way
		w.expect(a)
	}
	return nil
}

// expect takes note of when an attempt that has ended is to be made again.
func (w *Worker) expect(a *attempt) {
	if a.state == StatePending {
		l := w.lane(a.transport.PK)
		l.next = min(l.next, a.due)
	}
}

// lane is that of a transport.
func (w *Worker) lane(pk string) *lane {
	l := w.lanes[pk]
	if l == nil {
		l = &lane{next: never}
		w.lanes[pk] = l
	}
	return l
}

// settleAll writes what became of the attempts that have ended, and how the clocks stand.
func (w *Worker) settleAll(tx *sqldb.Tx, note *clockNote) error {
	if note != nil {
		if err := saveClock(tx, *note); err != nil {
			return err
		}
	}
	for _, a := range w.unsettled {
		if err := a.settle(tx); err != nil {
			return err
		}
	}
	return nil
}

// settleEach settles alone what could not be settled together, so that one that cannot be written holds up no other: it
// is left to its lease, and sent again once that has run out. What the storage refuses waits for the storage.
func (w *Worker) settleEach(ctx context.Context) {
	w.unsettled = slices.DeleteFunc(w.unsettled, func(a *attempt) bool {
		err := w.opt.DB.Write(ctx, a.settle)
		if errors.Is(err, sqldb.ErrStorage) || errors.Is(err, sqldb.ErrOverloaded) {
			return false
		}
		if err != nil {
			w.opt.Log.Error("an attempt could not be settled and will be made again", "delivery", a.delivery.PK, "error", err)
		}
		return true
	})
}

// begin starts the attempts that were claimed.
func (w *Worker) begin(sending context.Context, plans []*plan, lease string) {
	w.turns++
	for _, p := range plans {
		p.lane.turn, p.lane.next = w.turns, p.next
		p.lane.inFlight += len(p.claimed)
		for _, d := range p.claimed {
			a := &attempt{worker: w, snapshot: w.snapshot, transport: p.transport, delivery: d, lease: lease, started: w.opt.Clock()}
			go func() {
				a.run(sending)
				w.ended <- a
			}()
		}
	}
}

// idle is how long there is nothing to do, unless an attempt ends or somebody wakes the worker.
func (w *Worker) idle() time.Duration {
	if w.snapshot == nil {
		return 0
	}
	now, traffic := w.clock.now(), w.traffic()
	at := w.looked + pollTime.Microseconds()
	for _, l := range w.lanes {
		if traffic.room(l) > 0 {
			at = min(at, l.wakeAt(now))
		}
	}
	return time.Duration(max(0, at-now)) * time.Microsecond
}

// pause waits that long, or until there is something to do.
func (w *Worker) pause(ctx context.Context, idle time.Duration) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.wake:
	case a := <-w.ended:
		w.took(a)
	}
	for { // all that has ended is settled together
		select {
		case a := <-w.ended:
			w.took(a)
		default:
			return
		}
	}
}

// sleep waits that long, whatever else happens, unless ctx ends.
func sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// took takes note of an attempt that has ended.
func (w *Worker) took(a *attempt) {
	l := w.lane(a.transport.PK)
	l.inFlight--
	if a.counts() {
		l.ended(a.state == StateDelivered, a.timeout, a.end)
	}
	w.expect(a)
	w.unsettled = append(w.unsettled, a)
}

// drain waits for what is under way, cuts off what takes too long, and settles.
func (w *Worker) drain(abort func()) {
	cut := time.AfterFunc(drainTime, abort)
	defer cut.Stop()
	for t := w.traffic(); t.all > 0; t = w.traffic() {
		w.took(<-w.ended)
	}
	note := w.clock.note()
	err := w.opt.DB.Write(context.Background(), func(tx *sqldb.Tx) error { return w.settleAll(tx, &note) })
	if err != nil {
		w.opt.Log.Error("the last deliveries could not be settled and will be sent again", "error", err)
	}
}
