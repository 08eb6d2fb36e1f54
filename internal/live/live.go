// Package live fans hints of what has changed out to the readers in this process. A hint says where to look again and
// carries nothing of the object itself. Nobody who publishes ever waits for a reader: what a reader has not taken yet is
// kept for it in bounded space, and becomes coarser where it would grow.
package live

import (
	"errors"
	"slices"
	"sync"
)

// Bounds on what readers can hold.
const (
	maxReaders = 500 // in all
	maxOwned   = 16  // of one user
	maxIDs     = 100 // of one kind that wait for a reader; of more, only the kind is said
)

// Hint says that an object has changed.
type Hint struct {
	Kind  string `json:"kind"` // event, notification, rule, …
	ID    string `json:"id"`   // its key, "" for many of the kind
	Owner int64  `json:"-"`    // the user whose it is, 0 where that is nobody
}

// Reason is why a reader gets no more hints, "" while it does.
type Reason string

// The reasons.
const (
	// Stopping: the hub was closed. Come again.
	Stopping Reason = "stopping"
	// Replaced: the same user has opened too many others since.
	Replaced Reason = "replaced"
)

// Errors of Subscribe.
var (
	ErrClosed = errors.New("live: no more readers are let in")
	ErrFull   = errors.New("live: there are too many readers")
)

// Hub knows the readers. Its methods may be called from any goroutine.
type Hub struct {
	mu      sync.Mutex
	readers []*Reader // oldest first
	closed  bool
}

// NewHub makes a hub without readers.
func NewHub() *Hub { return &Hub{} }

// Subscribe lets a reader of a user in, for the hints that it wants. Where the user has too many, the oldest gives way.
func (h *Hub) Subscribe(user int64, wants func(Hint) bool) (*Reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	var owned []*Reader
	for _, r := range h.readers {
		if r.user == user {
			owned = append(owned, r)
		}
	}
	if len(owned) >= maxOwned {
		owned[0].end(Replaced)
		h.remove(owned[0])
	}
	if len(h.readers) >= maxReaders {
		return nil, ErrFull
	}
	r := &Reader{hub: h, user: user, wants: wants, changed: make(chan struct{}, 1), pending: map[string][]string{}}
	h.readers = append(h.readers, r)
	return r, nil
}

func (h *Hub) remove(r *Reader) {
	h.readers = slices.DeleteFunc(h.readers, func(other *Reader) bool { return other == r })
}

// Publish keeps hints for the readers that want them. It never waits for one.
func (h *Hub) Publish(hints ...Hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.readers {
		r.add(hints)
	}
}

// Wake makes every reader look up, whether there is something for it or not: what it may know could have changed.
func (h *Hub) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.readers {
		r.wake()
	}
}

// Len is the number of readers.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.readers)
}

// Close ends all readers, and lets nobody in any more.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, r := range h.readers {
		r.end(Stopping)
	}
	h.readers = nil
}

// Reader takes hints. It is for one goroutine.
type Reader struct {
	hub     *Hub
	user    int64
	wants   func(Hint) bool
	changed chan struct{} // holds one signal

	mu      sync.Mutex
	kinds   []string            // of what waits, in the order in which they came
	pending map[string][]string // their ids; nil for many
	reason  Reason
}

// Changed signals that there is something to take.
func (r *Reader) Changed() <-chan struct{} { return r.changed }

// Take answers the hints that wait, each once, and why there will be no more.
func (r *Reader) Take() (hints []Hint, reason Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hints = []Hint{}
	for _, kind := range r.kinds {
		ids := r.pending[kind]
		if ids == nil {
			ids = []string{""}
		}
		for _, id := range ids {
			hints = append(hints, Hint{Kind: kind, ID: id})
		}
	}
	r.kinds = nil
	clear(r.pending)
	return hints, r.reason
}

// Close lets the reader go.
func (r *Reader) Close() {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.remove(r)
}

func (r *Reader) add(hints []Hint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, hint := range hints {
		if r.wants(hint) {
			r.keep(hint)
			r.wake()
		}
	}
}

// keep adds a hint to what waits.
func (r *Reader) keep(hint Hint) {
	ids, waits := r.pending[hint.Kind]
	switch {
	case !waits:
		r.kinds = append(r.kinds, hint.Kind)
		ids = []string{}
	case ids == nil || slices.Contains(ids, hint.ID):
		return
	}
	if hint.ID == "" || len(ids) >= maxIDs {
		r.pending[hint.Kind] = nil
		return
	}
	r.pending[hint.Kind] = append(ids, hint.ID)
}

func (r *Reader) end(reason Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
	r.wake()
}

func (r *Reader) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}
