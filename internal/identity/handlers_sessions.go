package identity

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// cookieName is what the session's cookie is called. Browsers take one with the prefix over TLS only, and for this host
// only, so that no neighbour can plant one.
func cookieName(secure bool) string {
	if secure {
		return "__Host-belfry"
	}
	return "belfry"
}

// setCookie gives the browser a session's secret, or takes it away where that is "".
func setCookie(w http.ResponseWriter, secure bool, secret string) {
	cookie := &http.Cookie{Name: cookieName(secure), Value: secret, Path: "/", Secure: secure, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, MaxAge: int(sessionLife.Seconds())}
	if secret == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// cookieOf is the secret that a request shows; "" for none. Whoever shows something else as well means that.
func cookieOf(r *http.Request, secure bool) string {
	if _, other := r.Header["Authorization"]; other {
		return ""
	}
	cookie, err := r.Cookie(cookieName(secure))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// fromHere refuses what another site makes a browser do.
func (a *API) fromHere(r *http.Request) error {
	if err := a.crossOrigin.Check(r); err != nil {
		return drf.Detail(http.StatusForbidden, "This request comes from another site.")
	}
	return nil
}

// signedIn is the caller by the session of a request; the zero Caller where it has none that is valid.
func (a *API) signedIn(w http.ResponseWriter, r *http.Request) (Caller, error) {
	from := a.Proxies.remote(r)
	if cookieOf(r, from.secure) == "" {
		return Caller{}, nil
	}
	caller, err := a.Authenticate(r)
	var refusal *drf.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusForbidden {
		setCookie(w, from.secure, "") // it is good for nothing any more
		return Caller{}, nil
	}
	return caller, err
}

// GetSession answers GET session/: who has signed in with this browser, if anybody has. It is never refused, so that a
// page can ask without a complaint in the browser's console.
func (a *API) GetSession(w http.ResponseWriter, r *http.Request) error {
	caller, err := a.signedIn(w, r)
	if err != nil {
		return err
	}
	return a.answerWho(w, r, http.StatusOK, caller)
}

// GetMe answers GET me/: the caller.
func (a *API) GetMe(w http.ResponseWriter, r *http.Request) error {
	return a.answerWho(w, r, http.StatusOK, CallerOf(r.Context()))
}

func (a *API) answerWho(w http.ResponseWriter, r *http.Request, status int, caller Caller) error {
	who := Who{Scopes: caller.Scopes}
	err := a.read(r, func(tx *sqldb.Tx) error {
		if caller.User.PK == 0 {
			return nil
		}
		self, err := sessionUser(tx, caller.User.PK)
		if err != nil {
			return err
		}
		who.User = &self.User
		var stored string
		if err := tx.Row(`SELECT password FROM app_user WHERE pk = $1`, []any{caller.User.PK}, &stored); err != nil {
			return err
		}
		who.HasPassword = stored != ""
		if caller.SessionPK == "" {
			return nil
		}
		session, err := getSession(tx, caller.User.PK, caller.SessionPK)
		session.Current, who.Session = true, &session
		return err
	})
	if err != nil {
		return err
	}
	return WhoSerializer.Write(w, r, status, &who)
}

// SignIn answers POST session/. The log says so before the session is there: none is opened that it does not know of.
func (a *API) SignIn(w http.ResponseWriter, r *http.Request) error {
	if err := a.fromHere(r); err != nil {
		return err
	}
	in := SignInSerializer.Read(w, r, drf.Create)
	errs := in.Errors()
	if in.Patch.check(errs); errs.Any() {
		return errs.Err()
	}
	from := a.Proxies.remote(r)
	caller, p, refusal, err := a.prove(r.Context(), from, &in.Patch)
	switch {
	case err != nil:
		return err
	case refusal != nil:
		if err := a.tell(r, from, actionLoginFailed, nil, failedContext(&in.Patch)); err != nil {
			return err
		}
		return refusal
	case !caller.Scopes.Has(ScopeRead) && !caller.Scopes.Has(ScopeInbox):
		return drf.Detail(http.StatusForbidden, "This token may post events and look at nothing.")
	}
	if err := a.tell(r, from, actionLogin, &caller.User, loginContext(&in.Patch)); err != nil {
		return err
	}
	secret := rand.Text()
	session := newSession(r, from, caller)
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		return openSession(tx, &session, p, HashKey(secret), HashKey(cookieOf(r, from.secure)))
	})
	if errors.Is(err, errChanged) {
		return drf.Detail(http.StatusForbidden, msgWrong)
	}
	if err != nil {
		return err
	}
	setCookie(w, from.secure, secret)
	caller.SessionPK = session.PK
	return a.answerWho(w, r, http.StatusCreated, caller)
}

// newSession is a session that begins now.
func newSession(r *http.Request, from remote, caller Caller) Session {
	now := wall()
	s := Session{PK: sqldb.NewID(), UserPK: caller.User.PK, Created: now, LastUsed: now, Expires: now + sessionLife.Microseconds(),
		UserAgent: printable(r.UserAgent(), maxUserAgent)}
	if caller.TokenPK != "" {
		s.TokenPK = &caller.TokenPK
	}
	if from.address != "" {
		s.ClientIP = &from.address
	}
	return s
}

// SignOut answers DELETE session/: afterwards the browser has no session, whether it had one or not.
func (a *API) SignOut(w http.ResponseWriter, r *http.Request) error {
	if err := a.fromHere(r); err != nil {
		return err
	}
	caller, err := a.signedIn(w, r)
	if err != nil {
		return err
	}
	from := a.Proxies.remote(r)
	if caller.SessionPK != "" {
		if err := a.tell(r, from, actionLogout, &caller.User, "{}"); err != nil {
			return err
		}
		err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
			tx.OnCommit(a.Ended)
			return endSession(tx, caller.SessionPK)
		})
		if err != nil {
			return err
		}
	}
	setCookie(w, from.secure, "")
	return drf.NoContent(w)
}

// ListOwnSessions answers GET me/sessions/.
func (a *API) ListOwnSessions(w http.ResponseWriter, r *http.Request) error {
	return a.listSessions(w, r, CallerOf(r.Context()).User.PK)
}

// ListSessions answers GET sessions/: everybody's.
func (a *API) ListSessions(w http.ResponseWriter, r *http.Request) error {
	return a.listSessions(w, r, everybody)
}

func (a *API) listSessions(w http.ResponseWriter, r *http.Request, user int64) error {
	q, err := SessionList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Session]
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		page, err = listSessions(tx, user, q)
		return err
	})
	if err != nil {
		return err
	}
	for i := range page.Rows {
		page.Rows[i].Current = page.Rows[i].PK == CallerOf(r.Context()).SessionPK
	}
	return SessionSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// EndOwnSession answers DELETE me/sessions/{uuid}/.
func (a *API) EndOwnSession(w http.ResponseWriter, r *http.Request) error {
	return a.endSession(w, r, CallerOf(r.Context()).User.PK)
}

// EndSession answers DELETE sessions/{uuid}/: anybody's.
func (a *API) EndSession(w http.ResponseWriter, r *http.Request) error {
	return a.endSession(w, r, everybody)
}

func (a *API) endSession(w http.ResponseWriter, r *http.Request, user int64) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	err = a.writeBeside(r, func(tx *sqldb.Tx) error {
		session, err := getSession(tx, user, pk)
		if err != nil {
			return err
		}
		if err := endSession(tx, pk); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, sessionKind.Deleted(&session))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// ChangePassword answers POST me/password/. Whoever has a password shows it, so that a session that was left open or
// stolen is not enough; all other sessions end.
func (a *API) ChangePassword(w http.ResponseWriter, r *http.Request) error {
	in := PasswordChangeSerializer.Read(w, r, drf.Create)
	errs := in.Errors()
	if utf8.RuneCountInString(in.Patch.Password.Value) < minPasswordLength && !errs.Has("password") {
		errs.Add("password", msgShortPassword)
	}
	if errs.Any() {
		return errs.Err()
	}
	stored, err := a.checkOld(r, in.Patch.Old.Value)
	if err != nil {
		return err
	}
	hash, err := a.Passwords.Hash(r.Context(), in.Patch.Password.Value)
	if err != nil {
		return err
	}
	user := CallerOf(r.Context()).User.PK
	err = a.writeBeside(r, func(tx *sqldb.Tx) error {
		if err := (proof{password: stored}).holds(tx, user); err != nil {
			return err
		}
		return a.storePassword(tx, r, user, hash)
	})
	if errors.Is(err, errChanged) {
		return drf.Invalid("old_password", msgNotThePassword)
	}
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// storePassword replaces a password and ends all sessions of its user but the one that asks.
func (a *API) storePassword(tx *sqldb.Tx, r *http.Request, pk int64, hash string) error {
	user, err := setPassword(tx, pk, hash)
	if err != nil {
		return err
	}
	if err := endSessions(tx, pk, CallerOf(r.Context()).SessionPK); err != nil {
		return err
	}
	return a.Trail.Record(tx, r, userKind.Replaced(&user, "password"))
}

const msgNotThePassword = "This is not the password."

var msgShortPassword = fmt.Sprintf("A password needs at least %d characters.", minPasswordLength)

// checkOld answers the caller's password as it is stored, if the one that was given is it, or there is none.
func (a *API) checkOld(r *http.Request, old string) (stored string, err error) {
	caller := CallerOf(r.Context())
	err = a.read(r, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT password FROM app_user WHERE pk = $1`, []any{caller.User.PK}, &stored)
	})
	if err != nil || stored == "" {
		return stored, err
	}
	from := a.Proxies.remote(r)
	ok, err := a.limited(r.Context(), from, a.pepper.credential(caller.User.Username, old), func() (bool, error) {
		return a.Passwords.Verify(r.Context(), stored, old)
	})
	if err == nil && !ok {
		err = drf.Invalid("old_password", msgNotThePassword)
	}
	return stored, err
}
