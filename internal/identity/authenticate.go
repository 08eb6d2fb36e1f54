package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// Authenticate finds out who makes the request, by its Authorization header or, where it has none, by the cookie of a
// session. Its errors are answers: 403 for no or bad credentials (never 401, as authentik) and for what another site
// makes a browser do, 429 for a source that guesses; anything else is a fault of the storage. Rights are those of this
// moment, so that revoking a token or disabling a user works at the next request: see callers.
func (a *API) Authenticate(r *http.Request) (Caller, error) {
	from := a.Proxies.remote(r)
	who := a.byBearer
	if cookieOf(r, from.secure) != "" {
		who = a.byCookie
	}
	caller, err := who(r, from)
	if err != nil {
		return Caller{}, err
	}
	caller.Source = from.address
	return caller, nil
}

// byBearer is the caller whose token a request shows.
func (a *API) byBearer(r *http.Request, from remote) (caller Caller, err error) {
	key, err := bearer(r.Header.Get("Authorization"))
	if err != nil {
		return Caller{}, err
	}
	hash := HashKey(key)
	if caller, ok := a.callers.known(credential{hash: hash}); ok && a.limit.passes(from.source, hash) {
		return caller, nil
	}
	ok, err := a.limited(r.Context(), from, hash, func() (ok bool, err error) {
		caller, ok, err = a.byToken(r.Context(), hash)
		return ok, err
	})
	if err == nil && !ok {
		err = drf.BadToken()
	}
	return caller, err
}

// byCookie is the caller whose session a request shows. That is not limited: nobody guesses 128 random bits, and a page
// whose session has ended asks many things at once before it knows, which must not keep its user from signing in.
func (a *API) byCookie(r *http.Request, from remote) (Caller, error) {
	if err := a.fromHere(r); err != nil {
		return Caller{}, err
	}
	caller, ok, err := a.bySession(r.Context(), HashKey(cookieOf(r, from.secure)))
	switch {
	case err != nil:
		return Caller{}, fmt.Errorf("looking up a session: %w", err)
	case !ok:
		return Caller{}, drf.NoCredentials()
	}
	a.noteUse(r.Context(), caller)
	return caller, nil
}

// Again reads anew who a caller is and what they may do, for what lasts longer than a request; false where their
// credentials are good no more. It is no use of a session.
func (a *API) Again(ctx context.Context, c Caller) (Caller, bool, error) {
	look := a.byToken
	switch {
	case c.Host:
		return c, true, nil
	case c.SessionPK != "":
		look = a.bySession
	}
	again, ok, err := look(ctx, c.credential)
	again.Source = c.Source
	return again, ok, err
}

// bearer is the key that an Authorization header shows. A header without a space counts as none.
func bearer(header string) (string, error) {
	scheme, key, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok {
		return "", drf.NoCredentials()
	}
	if !strings.EqualFold(scheme, "bearer") {
		return "", drf.Detail(http.StatusForbidden, "Unsupported authentication type")
	}
	return key, nil
}

// callerByKey walks from the user's groups upward: that costs what the user's own groups cost, however many there are.
const callerByKey = `
WITH RECURSIVE up (pk, parent_pk, is_superuser) AS (
	SELECT g.pk, g.parent_pk, g.is_superuser
	FROM token t JOIN membership m ON m.user_pk = t.user_pk JOIN user_group g ON g.pk = m.group_pk
	WHERE t.key_hash = $1
	UNION
	SELECT g.pk, g.parent_pk, g.is_superuser FROM up JOIN user_group g ON g.pk = up.parent_pk
)
SELECT t.pk, t.intent, t.expiring, t.expires, t.scopes, ` + userColumns + `,
	EXISTS (SELECT 1 FROM up WHERE up.is_superuser)
FROM token t JOIN app_user u ON u.pk = t.user_pk WHERE t.key_hash = $1`

// byToken is the caller whose token's key has the hash; false if there is none that is valid now.
func (a *API) byToken(ctx context.Context, hash string) (caller Caller, valid bool, err error) {
	if caller, known := a.callers.known(credential{hash: hash}); known {
		return caller, true, nil
	}
	now := a.callers.now()
	var until int64
	err = a.DB.ReadQuick(ctx, func(tx *sqldb.Tx) error {
		var t Token
		var scopes string
		u := &caller.User
		dest := append([]any{&t.PK, &t.Intent, &t.Expiring, &t.Expires, &scopes}, u.columns()...)
		err := tx.Row(callerByKey, []any{hash}, append(dest, &u.IsSuperuser)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		caller.credential = hash
		caller.TokenPK, caller.Scopes, caller.Superuser = t.PK, scopesOf(strings.Fields(scopes)), u.IsSuperuser
		if until = t.Expires; !t.Expiring {
			until = math.MaxInt64
		}
		valid = t.Intent == intentAPI && u.IsActive && until > wall()
		return err
	})
	if err != nil || !valid {
		return caller, false, err
	}
	a.callers.learn(now, credential{hash: hash}, caller, until)
	return caller, true, nil
}
