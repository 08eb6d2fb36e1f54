// Package identity knows who is calling and what they may do: users, groups, tokens and
// sessions, their part of the API, and the directory that rules look people up in.
package identity

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// coreApp is the app of users, groups and tokens in authentik.
const coreApp = "authentik_core"

// Scopes is a set of what a token may be used for. Rights are always those of the user as well.
type Scopes uint8

// The scopes, from the widest to the narrowest.
const (
	// ScopeAdmin allows all that the user may do.
	ScopeAdmin Scopes = 1 << iota
	// ScopeRead allows to read all that the user may see, except tokens and sessions.
	ScopeRead
	// ScopeIngest allows to post events.
	ScopeIngest
	// ScopeInbox allows the user's own notifications, and users/me.
	ScopeInbox
)

// scopeChoices lists the names of the scopes in the order of their bits.
var scopeChoices = &drf.Choices{Name: "TokenScopeEnum", Values: []string{"admin", "read", "ingest", "inbox"}}

// Has reports whether s allows everything that want allows. ScopeAdmin allows everything.
func (s Scopes) Has(want Scopes) bool { return s&ScopeAdmin != 0 || s&want == want }

// Names are the names of the scopes in s: admin, read, ingest, inbox.
func (s Scopes) Names() []string {
	names := []string{}
	for i, name := range scopeChoices.Values {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the stored form: the names, separated by one space.
func (s Scopes) String() string { return strings.Join(s.Names(), " ") }

// scopesOf is the set of the scopes with the given names; names that are none are left out.
func scopesOf(names []string) Scopes {
	var s Scopes
	for i, known := range scopeChoices.Values {
		for _, name := range names {
			if name == known {
				s |= 1 << i
			}
		}
	}
	return s
}

// Caller is who makes a request and by which right.
type Caller struct {
	// User is the caller; its groups are not loaded. Zero for Host.
	User User
	// Superuser says whether one of the user's groups, or an ancestor of one, makes superusers.
	Superuser bool
	// Scopes are those of the token, or all.
	Scopes Scopes
	// TokenPK is the token that was shown, or that opened the session; "" where there was none.
	TokenPK string
	// SessionPK is the session whose cookie was shown; "" where there was none.
	SessionPK string
	// Source is the remote address without its port; "" where it is not an address.
	Source string
	// Host says that the caller is the command line on the same machine: superuser, all scopes, no user.
	Host bool

	credential string // the hash of what was shown
	lastUsed   int64  // of the session
}

// owns reports whether the caller may see and change what belongs to the user: its own, or, as a superuser, everybody's.
func (c Caller) owns(userPK int64) bool {
	return c.Superuser || c.User.PK != 0 && c.User.PK == userPK
}

type callerKey struct{}

// callerContext holds a caller: of every request one object and not two.
type callerContext struct {
	context.Context
	caller Caller
}

// Value implements [context.Context].
func (c *callerContext) Value(key any) any {
	if key == (callerKey{}) {
		return &c.caller
	}
	return c.Context.Value(key)
}

// WithCaller is ctx with the caller that [CallerOf] answers.
func WithCaller(ctx context.Context, c Caller) context.Context { return &callerContext{ctx, c} }

// CallerOf is the caller of the request; the zero Caller, who may do nothing, if there is none.
func CallerOf(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return *c
	}
	return Caller{}
}

// API is the part of the HTTP API that is about users, groups, tokens and sessions.
//
// Its handlers leave two questions to the route table: whether a superuser is
// needed and which scopes are. They check only what depends on the object.
type API struct {
	DB  *sqldb.DB
	Log *slog.Logger
	// UsedBy answers what of other packages refers to the object; kind is "user" or "group",
	// pk as the API writes it. nil where nothing does.
	UsedBy func(tx *sqldb.Tx, kind, pk string) ([]drf.UsedBy, error)
	// Trail records every change, in its transaction.
	Trail trail.Func
	// Deleted does what follows elsewhere from the end of a user, in its transaction; nil for nothing.
	Deleted func(tx *sqldb.Tx, userPK int64) error
	// Passwords hashes and verifies; it is shared so that hashing is bounded for the whole process.
	Passwords *Passwords
	// Proxies are those whose forwarding headers say who is calling.
	Proxies Proxies
	// Tell writes what happened into the log.
	Tell func(r *http.Request, what Occurrence) error
	// Ended is called after a session was signed out of: what it was shown ends too.
	Ended func()

	limit       *limiter
	callers     *callers
	pepper      pepper
	crossOrigin http.CrossOriginProtection
}

// New makes the API on an open database, with the trail of what it changes.
func New(db *sqldb.DB, log *slog.Logger, trail trail.Func) *API {
	return &API{DB: db, Log: log, Trail: trail, Passwords: NewPasswords(), limit: newLimiter(), callers: newCallers(db), pepper: newPepper(),
		Tell: func(*http.Request, Occurrence) error { return nil }, Ended: func() {}}
}
