package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// The actions of what happens to sessions.
const (
	actionLogin       = "login"
	actionLoginFailed = "login_failed"
	actionLogout      = "logout"
)

// Occurrence is a sign-in, a failed one or a sign-out, for the log.
type Occurrence struct {
	Action   string
	User     *User    // nil where nobody is known
	ClientIP string   // "" where it is not known
	Context  drf.JSON // an object
}

// pepper is a secret of this process: what the limiter remembers of a password is worth nothing without it.
type pepper [sha256.Size]byte

func newPepper() (p pepper) {
	rand.Read(p[:]) // never fails, as its documentation says
	return p
}

// credential is a user name and a password as the limiter remembers them.
func (p *pepper) credential(username, password string) string {
	mac := hmac.New(sha256.New, p[:])
	fmt.Fprintf(mac, "%d %s%s", len(username), username, password) // of a hash: cannot fail
	return hex.EncodeToString(mac.Sum(nil))
}

// msgWrong is the answer to every wrong pair of a user name and a password, whatever is wrong with it.
const msgWrong = "Wrong user name or password."

// prove finds out whose credentials are shown, and by which proof. refusal is the answer to who guessed, or was mistaken;
// errors are answers too, as those of [API.Authenticate] are.
func (a *API) prove(ctx context.Context, from remote, in *signIn) (caller Caller, p proof, refusal error, err error) {
	known := HashKey(in.Token.Value)
	check := func() (bool, error) {
		var ok bool
		caller, ok, err = a.byToken(ctx, known)
		p.token = known
		return ok, err
	}
	refusal = drf.BadToken()
	if !in.Token.Set {
		known = a.pepper.credential(in.Username.Value, in.Password.Value)
		refusal = drf.Detail(http.StatusForbidden, msgWrong)
		check = func() (ok bool, err error) {
			caller.User, p.password, ok, err = a.byPassword(ctx, in.Username.Value, in.Password.Value)
			caller.Scopes, caller.Superuser = ScopeAdmin, caller.User.IsSuperuser
			return ok, err
		}
	}
	ok, err := a.limited(ctx, from, known, check)
	if err != nil || ok {
		return caller, p, nil, err
	}
	return Caller{}, proof{}, refusal, nil
}

// limited looks a credential up, unless its source has guessed too often.
func (a *API) limited(ctx context.Context, from remote, known string, check func() (bool, error)) (ok bool, err error) {
	attempt, err := a.limit.begin(ctx, from.source, known)
	if err != nil {
		return false, err
	}
	how := undecided
	defer func() { attempt.settle(how) }()
	if ok, err = check(); err != nil {
		return false, fmt.Errorf("looking up credentials: %w", err)
	}
	how = refused
	if ok {
		how = succeeded
	}
	return ok, nil
}

// byPassword is the user of a name, if the password is theirs. A name that nobody has takes as long as any other.
func (a *API) byPassword(ctx context.Context, username, password string) (u User, stored string, ok bool, err error) {
	err = a.DB.ReadQuick(ctx, func(tx *sqldb.Tx) error {
		dest := append(u.columns(), &u.IsSuperuser, &stored)
		err := tx.Row(`SELECT `+userColumns+`, `+isSuperuser+`, u.password FROM app_user u WHERE u.username = $1`, []any{username}, dest...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return User{}, "", false, err
	}
	ok, err = a.Passwords.Verify(ctx, stored, password)
	return u, stored, ok && u.IsActive, err
}

// tell writes what happened into the log.
func (a *API) tell(r *http.Request, from remote, action string, user *User, context drf.JSON) error {
	return a.Tell(r, Occurrence{Action: action, User: user, ClientIP: from.address, Context: context})
}

// loginContext is what the log says of a sign-in, as authentik does.
func loginContext(in *signIn) drf.JSON {
	return drf.JSON(`{"auth_method":"` + in.method() + `","auth_method_args":{}}`)
}

// failedContext is what the log says of a sign-in that failed. Nobody has a longer name than is kept of this one.
func failedContext(in *signIn) drf.JSON {
	out := []byte(`{"auth_method":"` + in.method() + `"`)
	if !in.Token.Set {
		out = drf.AppendString(append(out, `,"username":`...), printable(in.Username.Value, maxUsername))
		out = append(append(out, `,"password":`...), drf.StarsJSON...)
	}
	return drf.JSON(append(out, '}'))
}

// printable is the beginning of a text, at most n characters of it, without control characters.
func printable(text string, n int) string {
	clean := []rune(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD")))
	return string(clean[:min(n, len(clean))])
}
