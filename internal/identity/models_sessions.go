package identity

import (
	"time"

	"belfry/internal/drf"
	"belfry/internal/trail"
)

// How long a session lasts.
const (
	sessionIdle = 12 * time.Hour      // without a request; an open stream is none
	sessionLife = 30 * 24 * time.Hour // however much it is used
	// sessionGrain is how exactly the last use is known: not every request is worth a write.
	sessionGrain = time.Minute
)

// maxSessions is how many sessions a user has; of more, those unused for longest end.
const maxSessions = 100

// maxUserAgent bounds what is kept of a browser's name, in characters.
const maxUserAgent = 300

// Session is a sign-in with a browser. Its cookie's value is stored as a hash, which is never loaded into it.
// Times are UTC microseconds.
type Session struct {
	PK                         string
	UserPK                     int64
	Username                   string
	TokenPK                    *string // the token that opened it; nil for a password
	Created, LastUsed, Expires int64
	UserAgent                  string
	ClientIP                   *string
	Current                    bool // it is the one that asks
}

// method is how the user signed in.
func (s *Session) method() string {
	if s.TokenPK == nil {
		return methodPassword
	}
	return methodToken
}

const (
	methodPassword = "password"
	methodToken    = "token"
)

var sessionMethods = &drf.Choices{Name: "SessionMethodEnum", Values: []string{methodPassword, methodToken}}

// SessionSerializer writes sessions.
var SessionSerializer = drf.NewSerializer("Session",
	drf.UUID[Session, none]("pk", func(s *Session) string { return s.PK }),
	drf.Int[Session, none]("user", func(s *Session) int64 { return s.UserPK }, nil),
	drf.Text[Session, none]("username", func(s *Session) string { return s.Username }, nil),
	drf.Choice[Session, none]("method", sessionMethods, (*Session).method, nil),
	drf.Time[Session, none]("created", func(s *Session) int64 { return s.Created }, nil),
	drf.Time[Session, none]("last_used", func(s *Session) int64 { return s.LastUsed }, nil, drf.Help("To the minute.")),
	drf.Time[Session, none]("expires", func(s *Session) int64 { return s.Expires }, nil,
		drf.Help("However much it is used. Unused for twelve hours it ends, too, as it does with the token that opened it.")),
	drf.Text[Session, none]("user_agent", func(s *Session) string { return s.UserAgent }, nil),
	drf.NullIP[Session, none]("client_ip", func(s *Session) *string { return s.ClientIP }, nil),
	drf.Bool[Session, none]("current", func(s *Session) bool { return s.Current }, nil, drf.Help("It is the one that asks.")),
)

// sessionKind is how sessions stand in the trail.
var sessionKind = trail.Kind[Session, none]{
	App: coreApp, Model: "authenticatedsession", Serializer: SessionSerializer,
	PK:   func(s *Session) drf.JSON { return trail.HexPK(s.PK) },
	Name: func(s *Session) string { return s.Username },
}

// SessionList says what the lists of sessions take.
var SessionList = &drf.ListSpec{
	Filters:   []drf.Filter{{Name: "user", Kind: drf.FilterIntRef}, {Name: "user__username"}},
	Search:    true,
	Orderings: []string{"pk", "user", "created", "last_used", "expires"},
	Default:   []string{"-last_used"},
}

// Who is the caller, as the page wants to know it. A zero Who is nobody.
type Who struct {
	User        *User
	Scopes      Scopes
	HasPassword bool
	Session     *Session
}

// WhoSerializer writes who is calling.
var WhoSerializer = drf.NewSerializer("Who",
	drf.Nested[Who, none]("user", userSelfSerializer, func(w *Who) *User { return w.User }, nil, drf.NullAnswer()),
	drf.Strings[Who, none]("scopes", scopeChoices, func(w *Who) []string { return w.Scopes.Names() }, nil),
	drf.Bool[Who, none]("has_password", func(w *Who) bool { return w.HasPassword }, nil),
	drf.Nested[Who, none]("session", SessionSerializer, func(w *Who) *Session { return w.Session }, nil, drf.NullAnswer()),
)

// signIn is the body of a sign-in: a user name and a password, or the key of a token.
type signIn struct{ Username, Password, Token drf.Field[string] }

// SignInSerializer reads the body of a sign-in. White space is part of a password.
var SignInSerializer = drf.NewSerializer("SignIn",
	drf.Text[none]("username", nil, func(p *signIn) *drf.Field[string] { return &p.Username }),
	drf.Text[none]("password", nil, func(p *signIn) *drf.Field[string] { return &p.Password }, drf.KeepSpace()),
	drf.Text[none]("token", nil, func(p *signIn) *drf.Field[string] { return &p.Token }),
)

// method is how somebody signs in.
func (p *signIn) method() string {
	if p.Token.Set {
		return methodToken
	}
	return methodPassword
}

// check adds what is missing, or too much.
func (p *signIn) check(errs *drf.Errors) {
	switch {
	case p.Token.Set && (p.Username.Set || p.Password.Set):
		errs.Add("", "Sign in with a user name and a password, or with a token.")
	case !p.Token.Set:
		if !p.Username.Set {
			errs.Add("username", drf.MsgRequired)
		}
		if !p.Password.Set {
			errs.Add("password", drf.MsgRequired)
		}
	}
}

// passwordChange is the body of me/password.
type passwordChange struct{ Old, Password drf.Field[string] }

// PasswordChangeSerializer reads the body of me/password.
var PasswordChangeSerializer = drf.NewSerializer("PasswordChange",
	drf.Text[none]("old_password", nil, func(p *passwordChange) *drf.Field[string] { return &p.Old }, drf.KeepSpace(),
		drf.AllowBlank(), drf.Help("May be left out by who has no password yet.")),
	drf.Text[none]("password", nil, func(p *passwordChange) *drf.Field[string] { return &p.Password }, drf.Required(), drf.KeepSpace()),
)
