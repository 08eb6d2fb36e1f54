package live

import "sync"

// Reader takes hints. It is for one goroutine.
type Reader struct {
	hub      *Hub
	user     int64
	audience *Audience
	changed  chan struct{} // holds one signal

	mu      sync.Mutex
	waiting []*batch // oldest first
	reason  Reason
}

// Changed signals that there is something to take.
func (r *Reader) Changed() <-chan struct{} { return r.changed }

// Take answers the hints that wait, each once and encoded, "" for none; and why there will be no more.
func (r *Reader) Take() (hints string, reason Reason) {
	waiting, reason := r.take()
	switch {
	case reason != "" || len(waiting) == 0:
		return "", reason
	case len(waiting) == 1 && waiting[0].owned[r.user] == nil:
		return waiting[0].encoded(r.audience, r.hub.encode), ""
	}
	all := r.merge(waiting)
	return r.hub.encode(append(all.shared.hints(r.audience), all.owned[r.user].hints(nil)...)), ""
}

func (r *Reader) take() ([]*batch, Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.waiting
	r.waiting = nil
	return waiting, r.reason
}

// Close lets the reader go.
func (r *Reader) Close() {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.remove(r)
}

// keep adds a batch to what waits.
func (r *Reader) keep(b *batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == maxBatches {
		r.waiting = []*batch{r.merge(r.waiting)}
	}
	r.waiting = append(r.waiting, b)
}

// merge makes one batch of several, of what the reader may see.
func (r *Reader) merge(batches []*batch) *batch {
	all := &batch{}
	for _, b := range batches {
		for _, hint := range b.shared.hints(r.audience) {
			all.add(hint)
		}
		for _, hint := range b.owned[r.user].hints(nil) {
			hint.Owner = r.user
			all.add(hint)
		}
	}
	return all
}

// told wakes the reader if something waits for it.
func (r *Reader) told() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		r.wake()
	}
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
