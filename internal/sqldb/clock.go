package sqldb

import (
	"sync"
	"time"
)

// clock gives times that never go back, whatever the machine's clock does.
type clock struct {
	now  func() time.Time
	mu   sync.Mutex
	last int64
}

// next is a time for a write: later than every one before.
func (c *clock) next() int64 {
	now := c.now().UnixMicro()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(now, c.last+1)
	return c.last
}

// current is a time for a read: not earlier than that of any write.
func (c *clock) current() int64 {
	now := c.now().UnixMicro()
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(now, c.last)
}

// raise makes every later time later than floor.
func (c *clock) raise(floor int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, floor)
}
