package sqldb

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// patience is how often the writer lets others go first before it takes it that nothing more comes.
const patience = 1

// queueLimit is how many writes may wait.
const queueLimit = 1024

// job is one write on its way through the queue.
type job struct {
	fn    func(tx *Tx) error
	state atomic.Int32
	err   error // of fn, until the group's end
	done  chan error
}

const (
	jobWaits int32 = iota
	jobBegan
	jobDropped
)

// begin reports whether the job is to be run, or runs already: not when its caller has dropped it.
func (j *job) begin() bool {
	return j.state.CompareAndSwap(jobWaits, jobBegan) || j.state.Load() == jobBegan
}

// drop takes a job that has not begun out of the queue.
func (j *job) drop() bool { return j.state.CompareAndSwap(jobWaits, jobDropped) }

// answer ends a job that has begun, or that will not be run; the caller of one that was dropped waits no more.
func (j *job) answer(err error) {
	if j.begin() {
		j.done <- err
	}
}

// writer is the one goroutine that writes. It owns its connection.
type writer struct {
	file   sqliteFile
	conn   *sqliteConn // nil after a fault
	clock  *clock
	health *health

	mu       sync.RWMutex // guards closed against the sending into queue
	closed   bool
	queue    chan *job
	closing  atomic.Bool
	finished chan error
	// restartAt is the log's length in pages at which readers are waited for, so that it can begin anew.
	restartAt int64

	group   []*job // that is being written
	spare   []*job // the place of the group before, which may be in use while it is synced
	syncing bool   // the group before is being synced
	commits chan commit
	synced  chan struct{}
}

func startWriter(file sqliteFile, conn *sqliteConn, clock *clock, health *health) *writer {
	w := &writer{file: file, conn: conn, clock: clock, health: health,
		queue: make(chan *job, queueLimit), finished: make(chan error, 1), restartAt: restartPages,
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
	j := &job{fn: fn, done: make(chan error, 1)}
	if err := w.enqueue(j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.drop() {
			return ctx.Err()
		}
		return <-j.done
	}
}

func (w *writer) enqueue(j *job) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.queue <- j:
		return nil
	default:
		return ErrOverloaded
	}
}

// close lets the group that has begun end, refuses the rest and closes the connection.
func (w *writer) close() error {
	w.closing.Store(true)
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	return <-w.finished
}

// loop runs all that waits as one group, again and again.
func (w *writer) loop() {
	for first := range w.queue {
		w.group = append(w.group[:0], first)
		w.gather()
		w.serve()
	}
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
	for idle := 0; idle < patience && len(w.group) < queueLimit; idle++ {
		before := len(w.group)
		for more := true; more && len(w.group) < queueLimit; {
			select {
			case j, open := <-w.queue:
				if more = open; open {
					w.group = append(w.group, j)
				}
			default:
				more = false
			}
		}
		switch {
		case len(w.group) == 1:
			return
		case len(w.group) > before:
			idle = 0
		}
		runtime.Gosched()
	}
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
	w.checkpoint()
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
	for i := 0; i < len(w.group) || !careful && w.more(); i++ {
		j := w.group[i]
		if !j.begin() {
			continue
		}
		m := &member{sqliteConn: w.conn, careful: careful}
		switch m.serve(j, w.clock.next()) {
		case lost:
			return w.giveUp(j.err)
		case undone:
			return w.undo(j.err)
		}
		w.health.note(j.err)
		wrote = wrote || m.wrote && j.err == nil
	}
	return w.commit(wrote)
}

// more waits for one more job while the group before is synced: it is cheaper in this transaction than in one of its own.
// It reports false when the group is complete.
func (w *writer) more() bool {
	for w.syncing && len(w.group) < queueLimit {
		select {
		case j, open := <-w.queue:
			switch {
			case !open:
				w.settle()
			case w.closing.Load():
				j.answer(ErrClosed)
			default:
				w.group = append(w.group, j)
				return true
			}
		case <-w.synced:
			w.syncing = false
		}
	}
	return false
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
	w.conn = nil
}

// member is the connection as one fn of a group sees it.
type member struct {
	*sqliteConn
	careful bool // a savepoint is set before the first write
	saved   bool // it is
	wrote   bool // a statement has changed something
}

// serve runs a job's fn, and keeps or undoes what it wrote where it can.
func (m *member) serve(j *job, now int64) outcome {
	tx := &Tx{run: m, now: now}
	j.err = m.classify(call(tx, j.fn))
	tx.end()
	switch {
	case !m.InTransaction():
		return lost
	case m.saved:
		return m.settle(j.err)
	case m.wrote && j.err != nil:
		return undone
	}
	return answered
}

// settle ends the savepoint, and before that what was written since it if fn has failed.
func (m *member) settle(err error) outcome {
	if err != nil && m.run("ROLLBACK TO fn") != nil || m.run("RELEASE fn") != nil || !m.InTransaction() {
		return lost
	}
	return answered
}

// errLost is the answer to what a fn does after its transaction was lost: it would commit by itself.
var errLost = storageError(errors.New("SQLite rolled the transaction back"))

// begin makes ready for a statement, and reports whether it may write.
func (m *member) begin(query string) (writes bool, err error) {
	if !m.InTransaction() {
		return false, errLost
	}
	reads, err := m.ReadsOnly(query)
	if err != nil || reads {
		return false, m.classify(err)
	}
	if m.careful && !m.saved {
		m.saved = true
		err = m.run("SAVEPOINT fn")
	}
	return true, err
}

func (m *member) exec(query string, args []any) (int64, error) {
	writes, err := m.begin(query)
	if err != nil {
		return 0, err
	}
	changed, err := m.sqliteConn.exec(query, args)
	m.wrote = m.wrote || writes && err == nil
	return changed, err
}

func (m *member) query(query string, args []any) (Rows, error) {
	writes, err := m.begin(query)
	if err != nil {
		return nil, err
	}
	rows, err := m.sqliteConn.query(query, args)
	m.wrote = m.wrote || writes && err == nil
	return rows, err
}
