package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
)

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
}

func startWriter(file sqliteFile, conn *sqliteConn, clock *clock, health *health) *writer {
	w := &writer{file: file, conn: conn, clock: clock, health: health,
		queue: make(chan *job, queueLimit), finished: make(chan error, 1), restartAt: restartPages}
	go w.loop()
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
	group := make([]*job, 0, queueLimit)
	for first := range w.queue {
		group = append(group[:0], first)
		for more := true; more && len(group) < queueLimit; {
			select {
			case j, ok := <-w.queue:
				if more = ok; ok {
					group = append(group, j)
				}
			default:
				more = false
			}
		}
		w.serve(group)
		clear(group)
	}
	var err error
	if w.conn != nil {
		err = w.conn.close()
	}
	w.finished <- err
}

// serve answers every job of a group.
func (w *writer) serve(group []*job) {
	if w.closing.Load() {
		answerAll(group, ErrClosed)
		return
	}
	if !w.transact(group) {
		// SQLite rolled the transaction back under one of them. Alone, only the guilty one fails.
		for i := range group {
			w.transact(group[i : i+1])
		}
	}
	w.checkpoint()
}

func answerAll(group []*job, err error) {
	for _, j := range group {
		j.answer(err)
	}
}

// transact runs jobs in one transaction and answers them after its commit. It
// answers nobody and reports false when the transaction was lost and there is more than one.
func (w *writer) transact(jobs []*job) bool {
	if err := w.health.refusal(); err != nil {
		answerAll(jobs, err)
		return true
	}
	if err := w.beginTransaction(); err != nil {
		w.fail(jobs, err)
		return true
	}
	wrote := false
	for _, j := range jobs {
		if !j.begin() {
			continue
		}
		m := &member{sqliteConn: w.conn}
		if alive := m.serve(j, w.clock.next()); !alive {
			w.health.note(j.err)
			w.discard()
			if len(jobs) > 1 {
				return false
			}
			w.fail(jobs, cmp.Or(j.err, errLost)) // without an error of its own, fn has swallowed SQLite's
			return true
		}
		w.health.note(j.err)
		wrote = wrote || m.saved && j.err == nil
	}
	return w.commit(jobs, wrote)
}

// commit commits and answers jobs. Like transact, it reports false when they are to be run again, each alone.
func (w *writer) commit(jobs []*job, wrote bool) bool {
	if err := w.conn.run(context.Background(), "COMMIT"); err != nil {
		w.discard()
		_, deferred := errors.AsType[*ForeignKeyError](err)
		switch {
		case !deferred:
			w.fail(jobs, err)
		case len(jobs) > 1: // a constraint that is checked at the end, broken by one of them
			return false
		default:
			answerAll(jobs, err)
		}
		return true
	}
	if wrote {
		w.health.clear()
	}
	for _, j := range jobs {
		j.answer(j.err)
	}
	return true
}

// fail answers jobs with a fault of the storage.
func (w *writer) fail(jobs []*job, err error) {
	w.health.note(err)
	answerAll(jobs, storageError(err))
}

func (w *writer) beginTransaction() (err error) {
	if w.conn == nil {
		if w.conn, err = w.file.openWriter(context.Background()); err != nil {
			return err
		}
	}
	if err = w.conn.run(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		w.discard()
	}
	return err
}

// discard closes the connection, whose state is not to be trusted, with its
// transaction; the next group opens another one.
func (w *writer) discard() {
	w.health.note(w.conn.rollback())
	w.health.note(w.conn.close())
	w.conn = nil
}

// member is the connection as one fn of a group sees it: with a savepoint from its first write on.
type member struct {
	*sqliteConn
	saved bool
}

// serve runs a job's fn and keeps or undoes what it wrote. It reports whether the group's transaction is still there.
func (m *member) serve(j *job, now int64) (alive bool) {
	tx := &Tx{run: m, ctx: context.Background(), now: now}
	j.err = m.classify(call(tx, j.fn))
	tx.end()
	if !m.inTransaction() {
		return false
	}
	if !m.saved {
		return true
	}
	if j.err != nil {
		if m.run(context.Background(), "ROLLBACK TO fn") != nil {
			return false
		}
	}
	return m.run(context.Background(), "RELEASE fn") == nil && m.inTransaction()
}

// errLost is the answer to what a fn does after its transaction was lost: it would commit by itself.
var errLost = storageError(errors.New("SQLite rolled the transaction back"))

// save sets the savepoint, before the first statement that may write.
func (m *member) save(query string) error {
	if !m.inTransaction() {
		return errLost
	}
	if m.saved || isSelect(query) {
		return nil
	}
	m.saved = true
	return m.run(context.Background(), "SAVEPOINT fn")
}

func (m *member) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	if err := m.save(query); err != nil {
		return nil, err
	}
	return m.sqliteConn.exec(ctx, query, args)
}

func (m *member) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if err := m.save(query); err != nil {
		return nil, err
	}
	return m.sqliteConn.query(ctx, query, args)
}
