package sqldb

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// queueLimit is how many writes may wait, and how many are written together.
	queueLimit = 1024
	// sweepEvery is how often those that wait are looked through for callers who have given up. To listen for the end of
	// every context would cost each write more than a twentieth of its time.
	sweepEvery = 20 * time.Millisecond
)

// job is one write on its way. It stands in the queue, then in a group, and is nobody's once it is answered.
type job struct {
	ctx  context.Context
	fn   func(tx *Tx) error
	err  error // of fn, until the group's end
	done chan error
}

// givenUp ends a job whose caller waits no more, and reports whether that is so.
func (j *job) givenUp() bool {
	err := j.ctx.Err()
	if err != nil {
		j.answer(err)
	}
	return err != nil
}

// answer ends a job.
func (j *job) answer(err error) { j.done <- err }

// queue are the writes that wait, in their order.
type queue struct {
	filled chan struct{} // holds something when there are jobs, and once there will be no more

	mu      sync.Mutex
	jobs    []*job
	closed  bool
	sweeper *time.Timer // not nil while there may be something to sweep

	answered sync.Pool // jobs to be used again
}

func newQueue() *queue { return &queue{filled: make(chan struct{}, 1)} }

// job makes a job, which stands in no queue yet.
func (q *queue) job(ctx context.Context, fn func(tx *Tx) error) *job {
	j, ok := q.answered.Get().(*job)
	if !ok {
		j = &job{done: make(chan error, 1)}
	}
	j.ctx, j.fn = ctx, fn
	return j
}

// wait answers what became of a job, and keeps it to be used again: nobody else knows it any more.
func (q *queue) wait(j *job) error {
	err := <-j.done
	j.ctx, j.fn, j.err = nil, nil, nil
	q.answered.Put(j)
	return err
}

// put adds a job, unless there are too many.
func (q *queue) put(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrClosed
	case len(q.jobs) >= queueLimit:
		return ErrOverloaded
	}
	q.jobs = append(q.jobs, j)
	q.signal()
	if q.sweeper == nil {
		q.sweeper = time.AfterFunc(sweepEvery, q.sweep)
	}
	return nil
}

// sweep drops the jobs whose callers have given up.
func (q *queue) sweep() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = slices.DeleteFunc(q.jobs, (*job).givenUp)
	if q.sweeper = nil; len(q.jobs) > 0 {
		q.sweeper = time.AfterFunc(sweepEvery, q.sweep)
	}
}

// take moves jobs to the end of group, as far as a group has room for them. They have begun then, and run to their end.
func (q *queue) take(group []*job) []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.jobs), queueLimit-len(group))
	for _, j := range q.jobs[:n] {
		if !j.givenUp() {
			group = append(group, j)
		}
	}
	q.jobs = slices.Delete(q.jobs, 0, n)
	if len(q.jobs) > 0 || q.closed {
		q.signal()
	}
	return group
}

func (q *queue) signal() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}

// close refuses all that comes from now on.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}
