package sqldb

import (
	"fmt"
	"sync"
)

// health is what is known about the storage: nothing bad, a failure that a
// later success takes back, or one that lasts until the process ends.
type health struct {
	fatal func(error)

	mu      sync.Mutex
	failed  error
	forever error
}

func newHealth(opt Options) *health { return &health{fatal: opt.Fatal} }

// note looks at an error of a read or a write and remembers what it says about the storage.
func (h *health) note(err error) {
	if !isStorageCode(sqliteCode(err)) {
		return
	}
	h.mu.Lock()
	h.failed = err
	first := h.forever == nil
	sync := isFailedSync(err)
	if first && (sync || isDamage(err)) {
		h.forever = err
	}
	h.mu.Unlock()
	if sync {
		h.fatal(fmt.Errorf("the storage could not be synced: %w", err))
	}
}

// clear is told that a write was committed. On a disk that was full that proves little, for a small write fits
// where the next one does not: only a probe ends that.
func (h *health) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !isFull(h.failed) {
		h.failed = nil
	}
}

// probed is told that a write as large as most was committed.
func (h *health) probed() {
	h.mu.Lock()
	h.failed = nil
	h.mu.Unlock()
}

// refusal is why no write may be tried any more, or nil.
func (h *health) refusal() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.forever != nil {
		return storageError(h.forever)
	}
	return nil
}

// failure is why writes are not known to work, or nil.
func (h *health) failure() error {
	if err := h.refusal(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed != nil {
		return storageError(h.failed)
	}
	return nil
}
