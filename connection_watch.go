package main

import (
	"errors"
	"os"
	"sync"
	"time"
)

// watchAfter is how long a request takes at least before its client is watched.
const watchAfter = 25 * time.Millisecond

// watch notices a client who goes away while a request is served: whose connection ends. A client who sends the next request
// meanwhile is watched no more.
type watch struct {
	conn *connection
	gone func()

	mu     sync.Mutex
	on     bool // a request is served
	served int  // requests
	timer  *time.Timer
	timed  bool // the timer runs
	seen   int  // served when it began

	reading chan struct{} // closed when the read ends that watches; nil while there is none
	next    [1]byte       // what it read: the beginning of the next request
	held    bool
}

// begin says that a request is served from now on. To stop the timer at each one's end and to begin anew would be dearer than to let
// it run.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = true
	w.served++
	w.time()
}

func (w *watch) time() {
	if w.timed {
		return
	}
	w.timed, w.seen = true, w.served
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, w.look)
	} else {
		w.timer.Reset(watchAfter)
	}
}

// look begins to watch if the request is still served that was when the timer began.
func (w *watch) look() {
	w.mu.Lock()
	w.timed = false
	switch {
	case !w.on || w.reading != nil || w.held:
	case w.seen == w.served:
		w.reading = make(chan struct{})
		go w.read()
	default:
		w.time()
	}
	w.mu.Unlock()
}

// read reads what the client sends next, which is nothing before the answer, or the connection's end.
func (w *watch) read() {
	n, err := w.conn.receive(w.next[:])
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held = n == 1; !w.held && w.on && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.gone() // a deadline that a handler has set says nothing of the client
	}
	close(w.reading)
	w.reading = nil
}

// end says that the next request is to be read, and reads its first byte into p where that has come already.
func (w *watch) end(p []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = false
	if ended := w.reading; ended != nil {
		w.mu.Unlock()
		<-ended // by what comes next, or the deadline
		w.mu.Lock()
	}
	if !w.held || len(p) == 0 {
		return false
	}
	w.held, p[0] = false, w.next[0]
	return true
}
