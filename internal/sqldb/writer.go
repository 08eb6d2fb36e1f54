package sqldb

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
)

// writer writes what waits, in a goroutine of its own; a write that comes alone runs in its caller's, for to change from one
// to the other and back takes as long as the write.
type writer struct {
	file   sqliteFile
	health *health

	queue    *queue
	closing  atomic.Bool
	finished chan error

	turn  chan struct{} // whoever has put something in writes; it guards what follows
	conn  *sqliteConn   // nil after a fault
	clock *clock
	// restartAt is the log's length in pages at which readers are waited for, so that it can begin anew.
	restartAt int64
	looked    int32 // how many pages the connection had written when the log was looked at

	member  member      // that the job which runs sees
	summary Summary     // of the jobs that have run
	many    atomic.Bool // the last group had several jobs; it may be read without the turn
	group   []*job      // that is being written
	spare   []*job      // the place of the group before, which may be in use while it is synced
	syncing bool        // the group before is being synced
	commits chan commit
	synced  chan struct{}
}

func startWriter(file sqliteFile, conn *sqliteConn, clock *clock, health *health) *writer {
	w := &writer{file: file, conn: conn, clock: clock, health: health,
		queue: newQueue(), finished: make(chan error, 1), turn: make(chan struct{}, 1), restartAt: restartPages,
		commits: make(chan commit, 1), synced: make(chan struct{}, 1)}
	go w.loop()
	go w.syncCommits()
	return w
}

// write queues fn and waits for its answer.
func (w *writer) write(ctx context.Context, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := w.queue.job(ctx, fn)
	if !w.alone(j) {
		if err := w.queue.put(j); err != nil {
			return err
		}
	}
	return w.queue.wait(j)
}

// alone runs a job at once where nobody else writes or waits, and reports whether it did. While many write, each would only
// hold up the others: they are written together.
func (w *writer) alone(j *job) bool {
	if w.many.Load() {
		return false
	}
	// Whoever else can run goes first: who is about to write too, and goroutines that end at once, such as one that net/http begins
	// with each request. It has woken another processor to run them, which would disturb this one if they were still there.
	runtime.Gosched()
	if w.queue.len() > 0 {
		return false
	}
	select {
	case w.turn <- struct{}{}:
	default:
		return false
	}
	defer func() { <-w.turn }()
	w.group = append(w.group[:0], j)
	w.serve()
	if w.grown() {
		w.queue.signal() // a checkpoint takes a while, and this caller has had what it waits for
	}
	return true
}

// close lets the group that has begun end, refuses the rest and closes the connection.
func (w *writer) close() error {
	w.closing.Store(true)
	w.queue.close()
	return <-w.finished
}

// loop runs all that waits as one group, again and again.
func (w *writer) loop() {
	for range w.queue.filled {
		w.turn <- struct{}{}
		w.group = w.queue.take(w.group[:0])
		switch {
		case len(w.group) > 0:
			w.gather()
			w.serve()
			w.checkpoint()
		case w.closing.Load():
			w.end() // with its turn, which nobody has after it
			return
		default:
			w.checkpoint()
		}
		<-w.turn
	}
}

// end closes the connection.
func (w *writer) end() {
	w.settle()
	close(w.commits)
	var err error
	if w.conn != nil {
		err = w.conn.Close()
	}
	w.finished <- err
}

// gather takes all that waits into the group. As long as more keeps coming it lets those go first who are about to bring it: a
// commit costs nearly the same for many as for few, and they have nothing else to do while it is synced.
func (w *writer) gather() {
	for before := 0; len(w.group) > before; {
		if before = len(w.group); before == 1 && !w.many.Load() {
			return
		}
		w.gatherOnce()
	}
}

// gatherOnce lets those go first who can, and takes what they have brought.
func (w *writer) gatherOnce() {
	runtime.Gosched()
	w.group = w.queue.take(w.group)
}

// outcome is what became of a group's transaction.
type outcome int

const (
	// answered: it was committed or has failed as a whole, and everybody knows.
	answered outcome = iota
	// undone: a job failed after it had written, and the transaction was rolled back.
	undone
	// lost: SQLite rolled the transaction back under one of the jobs, or one of them broke it for all.
	lost
)

// serve writes the group. Nearly always all of it succeeds, or fails before it writes: so jobs are run without savepoints,
// which cost as much as the writes themselves, and once more with them where one fails later.
func (w *writer) serve() {
	if w.closing.Load() {
		answerAll(w.group, ErrClosed)
		return
	}
	what := w.transact(false)
	if what == undone {
		what = w.transact(true)
	}
	if what == lost {
		// Alone, only the guilty one fails.
		for _, j := range slices.Clone(w.group) {
			w.group = append(w.group[:0], j)
			w.transact(true)
		}
	}
}

func answerAll(group []*job, err error) {
	for _, j := range group {
		j.answer(err)
	}
}

// transact runs the group in one transaction and commits it; careful gives each job a savepoint. When it answers undone or
// lost nobody has been answered, and nothing is kept: undone when a job was not careful and is to be, lost when there is
// more than one and each is to be run alone.
func (w *writer) transact(careful bool) outcome {
	if err := w.health.refusal(); err != nil {
		answerAll(w.group, err)
		return answered
	}
	if err := w.beginTransaction(); err != nil {
		w.fail(w.group, err)
		return answered
	}
	wrote := false
	w.summary = nil
	for i := 0; i < len(w.group) || !careful && w.more(); i++ {
		j := w.group[i]
		m := &w.member
		*m = member{sqliteConn: w.conn, careful: careful}
		switch m.serve(j, w.clock.next()) {
		case lost:
			return w.giveUp(j.err)
		case undone:
			return w.undo(j.err)
		}
		w.health.note(j.err)
		if j.err == nil {
			w.summary = merge(w.summary, m.summary)
		}
		wrote = wrote || m.wrote && j.err == nil
	}
	more, err := w.summarise()
	if err != nil {
		return w.fallShort(err)
	}
	return w.commit(wrote || more)
}

// summarise writes what the jobs have left for the end, and reports whether that is something.
func (w *writer) summarise() (wrote bool, err error) {
	if w.summary == nil {
		return false, nil
	}
	w.member = member{sqliteConn: w.conn}
	tx := &Tx{run: &w.member, now: w.clock.next()}
	defer tx.end()
	err = w.member.classify(call(tx, w.summary.Write))
	return w.member.wrote, err
}

// more waits for more jobs while the group before is synced, and as long as more keeps coming: they are cheaper in this
// transaction than in one of their own.
// It reports false when the group is complete.
func (w *writer) more() bool {
	for before := len(w.group); w.syncing && !w.closing.Load() && before < queueLimit; {
		if w.group = w.queue.take(w.group); len(w.group) > before {
			return true
		}
		select {
		case <-w.queue.filled:
		case <-w.synced:
			w.syncing = false
		}
	}
	if w.closing.Load() {
		w.queue.signal() // what is left is for the loop to refuse
		return false
	}
	before := len(w.group)
	if w.many.Load() {
		w.gatherOnce()
	}
	return len(w.group) > before
}

// giveUp leaves a transaction that is not there any more. A single job is answered; without an error of its own, fn has
// swallowed SQLite's.
func (w *writer) giveUp(err error) outcome {
	w.health.note(err)
	w.discard()
	if len(w.group) > 1 {
		return lost
	}
	w.fail(w.group, cmp.Or(err, errLost))
	return answered
}

// fallShort rolls the transaction back because of what it leaves for the end. A single job is answered.
func (w *writer) fallShort(err error) outcome {
	w.undo(err)
	if len(w.group) > 1 {
		return lost
	}
	answerAll(w.group, err)
	return answered
}

// undo rolls the transaction back, to run it again with care.
func (w *writer) undo(err error) outcome {
	w.health.note(err)
	if err := w.conn.rollback(); err != nil {
		w.discard()
	}
	return undone
}

// commit commits the group and has it synced and answered, or answers lost when its jobs are to be run again, each alone.
func (w *writer) commit(wrote bool) outcome {
	if err := w.conn.run("COMMIT"); err != nil {
		w.discard()
		_, deferred := errors.AsType[*ForeignKeyError](err)
		switch {
		case !deferred:
			w.fail(w.group, err)
		case len(w.group) > 1: // a constraint that is checked at the end, broken by one of them
			return lost
		default:
			answerAll(w.group, err)
		}
		return answered
	}
	log, err := w.conn.Log()
	if err != nil {
		w.fail(w.group, err)
		return answered
	}
	w.settle()
	w.many.Store(len(w.group) > 1)
	w.sync(commit{jobs: w.group, log: log, wrote: wrote})
	return answered
}

// fail answers jobs with a fault of the storage.
func (w *writer) fail(jobs []*job, err error) {
	w.health.note(err)
	answerAll(jobs, storageError(err))
}

func (w *writer) beginTransaction() (err error) {
	if w.conn == nil {
		if w.conn, err = w.file.openWriter(); err != nil {
			return err
		}
	}
	if err = w.conn.run("BEGIN IMMEDIATE"); err != nil {
		w.discard()
	}
	return err
}

// discard closes the connection, whose state is not to be trusted, with its
// transaction; the next group opens another one.
func (w *writer) discard() {
	w.settle()
	w.health.note(w.conn.rollback())
	w.health.note(w.conn.Close())
	w.conn, w.looked = nil, 0
}
