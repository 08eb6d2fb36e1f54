package identity

import (
	"sync"

	"belfry/internal/sqldb"
)

// callerTables are all the tables that a [Caller] is read from, by token and by session.
var callerTables = []string{"token", "app_user", "user_group", "membership", "user_session"}

// maxCallers is how many callers are remembered.
const maxCallers = 1024

// callers remembers who shows a credential, until anything is written into the tables that this was read from: what is
// revoked is unknown at the next request. Where other nodes write into them too, nothing is remembered.
type callers struct {
	tables *sqldb.Watch

	mu    sync.RWMutex
	since moment
	all   map[credential]remembered
}

// moment is a state of the tables.
type moment struct {
	writes int64
	known  bool
}

// credential is what somebody shows: the hash of a token's key, or of a session's secret, neither of which is good as the other.
type credential struct {
	session bool
	hash    string
}

// remembered is a caller, and when the credential ends by itself (UTC microseconds).
type remembered struct {
	caller Caller
	until  int64
}

func newCallers(db *sqldb.DB) *callers {
	return &callers{tables: db.Watch(callerTables...), all: map[credential]remembered{}}
}

// now is the state of the tables. It is asked for before they are read.
func (c *callers) now() (m moment) {
	m.writes, m.known = c.tables.Writes()
	return m
}

// known answers who shows a credential, if that is remembered and still so.
func (c *callers) known(shown credential) (Caller, bool) {
	now := c.now()
	c.mu.RLock()
	r, ok := c.all[shown]
	ok = ok && now.known && c.since == now
	c.mu.RUnlock()
	if !ok || r.until <= wall() {
		return Caller{}, false
	}
	return r.caller, true
}

// learn remembers a caller that was read at a moment, or after it.
func (c *callers) learn(at moment, shown credential, caller Caller, until int64) {
	if !at.known {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.writes < c.since.writes {
		return
	}
	if at != c.since || len(c.all) >= maxCallers {
		clear(c.all)
		c.since = at
	}
	c.all[shown] = remembered{caller, until}
}
