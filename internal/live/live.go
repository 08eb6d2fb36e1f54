// Package live fans hints of what has changed out to the readers in this process. A hint says where to look again and
// carries nothing of the object itself. Nobody who publishes ever waits for a reader, or pays for how many there are:
// what is published within a while is gathered, handed to all readers at once, and encoded once for all who may see the
// same. What a reader has not taken yet is kept for it in bounded space, and becomes coarser where it would grow.
package live

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Bounds on what readers can hold.
const (
	maxReaders = 2000 // in all
	maxOwned   = 16   // of one user
	maxIDs     = 100  // of one kind that wait for a reader; of more, only the kind is said
	maxBatches = 8    // that wait for a reader as they are; more are made one
)

// Hint says that an object has changed.
type Hint struct {
	Kind  string `json:"kind"` // event, notification, rule, …
	ID    string `json:"id"`   // its key, "" for many of the kind
	Owner int64  `json:"-"`    // the user whose it is, who alone is told; 0 where it is for all who may see the kind
}

// Audience are all readers who may see the same of what is nobody's own. Each is made once.
type Audience struct{ sees func(kind string) bool }

// NewAudience makes the audience of those who may see some kinds.
func NewAudience(sees func(kind string) bool) *Audience { return &Audience{sees: sees} }

// Sees reports whether the audience may see a kind.
func (a *Audience) Sees(kind string) bool { return a.sees(kind) }

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
	gather time.Duration
	encode func([]Hint) string

	mu        sync.Mutex
	readers   []*Reader     // oldest first
	users     map[int64]int // how many of them each user has
	batch     *batch        // what was published since the last hand-over; nil for nothing
	gathering bool          // deliver is going to be called
	closed    bool
}

// NewHub makes a hub without readers, which tells at once what is published within so long a time, in the form that
// encode makes of it.
func NewHub(gather time.Duration, encode func([]Hint) string) *Hub {
	return &Hub{gather: gather, encode: encode, users: map[int64]int{}}
}

// Subscribe lets a reader of a user in, for what is the user's own and what the audience may see, from now on. Where
// the user has too many, the oldest gives way.
func (h *Hub) Subscribe(user int64, audience *Audience) (*Reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	if h.users[user] >= maxOwned {
		oldest := h.readers[slices.IndexFunc(h.readers, func(r *Reader) bool { return r.user == user })]
		oldest.end(Replaced)
		h.remove(oldest)
	}
	if len(h.readers) >= maxReaders {
		return nil, ErrFull
	}
	h.handOver() // what was published before is not for the new one
	r := &Reader{hub: h, user: user, audience: audience, changed: make(chan struct{}, 1)}
	h.readers = append(h.readers, r)
	h.users[user]++
	return r, nil
}

// remove forgets a reader, if it is still known.
func (h *Hub) remove(r *Reader) {
	i := slices.Index(h.readers, r)
	if i < 0 {
		return
	}
	h.readers = slices.Delete(h.readers, i, i+1)
	if h.users[r.user]--; h.users[r.user] == 0 {
		delete(h.users, r.user)
	}
}

// Publish keeps hints for the readers. It never waits for one.
func (h *Hub) Publish(hints ...Hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hint := range hints {
		if len(h.readers) == 0 || hint.Owner != 0 && h.users[hint.Owner] == 0 {
			continue // for nobody
		}
		if h.batch == nil {
			h.batch = &batch{}
		}
		h.batch.add(hint)
		if !h.gathering {
			h.gathering = true
			time.AfterFunc(h.gather, h.deliver)
		}
	}
}

// deliver ends the gathering: all readers for whom something waits are told so.
func (h *Hub) deliver() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gathering = false
	h.handOver()
	for _, r := range h.readers {
		r.told()
	}
}

// handOver keeps what was gathered so far for those whom it concerns.
func (h *Hub) handOver() {
	if h.batch == nil {
		return
	}
	for _, r := range h.readers {
		if h.batch.concerns(r) {
			r.keep(h.batch)
		}
	}
	h.batch = nil
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
	h.readers, h.batch = nil, nil
	clear(h.users)
}
