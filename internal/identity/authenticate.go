package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// Authenticate finds out who makes the request. Its errors are answers: 403 for no or bad credentials (never 401,
// as authentik), 429 for a source that guesses; anything else is a fault of the storage. Rights are read anew for
// every request, so that revoking a token or disabling a user works at the next one.
func (a *API) Authenticate(r *http.Request) (Caller, error) {
	key, err := bearer(r.Header.Get("Authorization"))
	if err != nil {
		return Caller{}, err
	}
	address, prefix := sourceOf(r.RemoteAddr)
	hash := HashKey(key)
	attempt, err := a.limit.begin(r.Context(), prefix, hash)
	if err != nil {
		return Caller{}, err
	}
	how := undecided
	defer func() { attempt.settle(how) }()

	caller, ok, err := a.callerOf(r.Context(), hash)
	switch {
	case err != nil:
		return Caller{}, fmt.Errorf("looking up a token: %w", err)
	case !ok:
		how = refused
		return Caller{}, drf.BadToken()
	}
	how = succeeded
	caller.Source = address
	return caller, nil
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

// callerOf is the caller whose token's key has the hash; false if there is none that is valid now.
func (a *API) callerOf(ctx context.Context, hash string) (Caller, bool, error) {
	var caller Caller
	valid := false
	err := a.DB.ReadQuick(ctx, func(tx *sqldb.Tx) error {
		var t Token
		var scopes string
		u := &caller.User
		dest := append([]any{&t.PK, &t.Intent, &t.Expiring, &t.Expires, &scopes}, u.columns()...)
		err := tx.Row(callerByKey, []any{hash}, append(dest, &u.IsSuperuser)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		caller.TokenPK, caller.Scopes, caller.Superuser = t.PK, scopesOf(strings.Fields(scopes)), u.IsSuperuser
		valid = t.Intent == intentAPI && u.IsActive && (!t.Expiring || t.Expires > wall())
		return err
	})
	return caller, valid && err == nil, err
}
