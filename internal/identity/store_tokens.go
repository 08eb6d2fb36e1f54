package identity

import (
	"errors"
	"fmt"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const (
	tokenColumns = `t.pk, t.identifier, t.user_pk, t.intent, t.description, t.expiring, t.expires, t.scopes`
	tokenFrom    = `token t JOIN app_user u ON u.pk = t.user_pk`
	selectToken  = `SELECT ` + tokenColumns + `, u.username FROM ` + tokenFrom
)

const (
	msgTokenTaken = "Token with this identifier already exists."
	msgKeyTaken   = "This key cannot be used."
)

// scanToken reads tokenColumns and the name of the token's user.
func scanToken(s sqldb.Scanner) (t Token, err error) {
	var scopes string
	err = s.Scan(&t.PK, &t.Identifier, &t.UserPK, &t.Intent, &t.Description, &t.Expiring, &t.Expires, &scopes, &t.User.Username)
	t.Scopes = scopesOf(strings.Fields(scopes))
	return t, err
}

// newToken is a token as the API makes one of nothing.
func newToken(now int64) Token {
	return Token{PK: sqldb.NewID(), Intent: intentAPI, Expiring: true, Expires: now + tokenLife.Microseconds()}
}

// tokenOf reads a token that the caller may see; sql.ErrNoRows when there is none, so that others' look like unknown
// ones. lock is a clause that locks the row, or "".
func tokenOf(tx *sqldb.Tx, caller Caller, identifier, lock string) (Token, error) {
	var w sqldb.Where
	w.Add("t.identifier = ?", identifier)
	if !caller.Superuser {
		w.Add("t.user_pk = ?", caller.User.PK)
	}
	return sqldb.One(tx, scanToken, selectToken+w.SQL()+lock, w.Args()...)
}

// fillTokens reads the users of at most one page of tokens.
func fillTokens(tx *sqldb.Tx, tokens []Token) error {
	var pks []int64
	for _, t := range tokens {
		pks = append(pks, t.UserPK)
	}
	users, err := GetUsers(tx, pks)
	for i := range tokens {
		tokens[i].User = users[tokens[i].UserPK]
	}
	return err
}

// getToken reads a token that the caller may see, with its user.
func getToken(tx *sqldb.Tx, caller Caller, identifier string) (Token, error) {
	t, err := tokenOf(tx, caller, identifier, "")
	if err != nil {
		return Token{}, err
	}
	t.User, err = GetUser(tx, t.UserPK)
	return t, err
}

// tokenTable says how tokens are listed.
var tokenTable = listing.Table[Token]{
	Columns: tokenColumns + ", u.username", From: tokenFrom, PK: "t.pk", Scan: scanToken,
	Text: "t.identifier || ' ' || t.intent || ' ' || u.username || ' ' || t.description",
	Exact: [][2]string{
		{"identifier", "t.identifier"}, {"user__username", "u.username"}, {"description", "t.description"}, {"intent", "t.intent"},
	},
	Orders: map[string]string{
		"pk": "t.pk", "identifier": "t.identifier", "intent": "t.intent", "user": "t.user_pk", "user__username": "u.username",
		"description": "t.description", "expires": "t.expires", "expiring": "t.expiring",
	},
}

// listTokens reads the page of tokens that q asks for, of those that the caller may see.
func listTokens(tx *sqldb.Tx, caller Caller, q *drf.Query) (sqldb.Page[Token], error) {
	var where sqldb.Where
	if !caller.Superuser {
		where.Add("t.user_pk = ?", caller.User.PK)
	}
	if v, ok := q.Time("expires"); ok {
		where.Add("t.expires = ?", v)
	}
	if v, ok := q.Bool("expiring"); ok {
		where.Add("t.expiring = ?", v)
	}
	if _, ok := q.Text("managed"); ok {
		where.Add("1 = 0") // Belfry manages no tokens
	}
	page, err := tokenTable.Page(tx, q, where)
	if err != nil {
		return page, err
	}
	return page, fillTokens(tx, page.Rows)
}

// createToken makes a token with the given key of what the request says.
func createToken(tx *sqldb.Tx, caller Caller, in drf.Input[TokenPatch], keyHash string) (Token, error) {
	t := newToken(wall())
	t.UserPK, t.Scopes = caller.User.PK, caller.Scopes
	if err := checkToken(tx, caller, in, &t, true); err != nil {
		return Token{}, err
	}
	in.Patch.apply(&t, wall())
	err := insertToken(tx, &t, keyHash)
	if errors.As(err, new(*sqldb.UniqueError)) {
		return Token{}, drf.Invalid("identifier", msgTokenTaken)
	}
	if err != nil {
		return Token{}, err
	}
	t.User, err = GetUser(tx, t.UserPK)
	return t, err
}

// updateToken changes a token by what the request says, and answers it as it was, without its user, and as it is.
func updateToken(tx *sqldb.Tx, caller Caller, identifier string, in drf.Input[TokenPatch]) (before, after Token, err error) {
	if before, err = tokenOf(tx, caller, identifier, tx.ForUpdate()); err != nil {
		return before, after, err
	}
	if !caller.Scopes.Has(before.Scopes) {
		return before, after, drf.Forbidden() // a token does not edit a stronger one
	}
	if err := checkToken(tx, caller, in, &before, false); err != nil {
		return before, after, err
	}
	after = before
	in.Patch.apply(&after, wall())
	_, err = tx.Exec(`UPDATE token SET identifier = $1, user_pk = $2, intent = $3, description = $4, expiring = $5,
		expires = $6, scopes = $7 WHERE pk = $8`, after.Identifier, after.UserPK, after.Intent, after.Description,
		after.Expiring, after.Expires, after.Scopes.String(), after.PK)
	if errors.As(err, new(*sqldb.UniqueError)) {
		return before, after, drf.Invalid("identifier", msgTokenTaken)
	}
	if err != nil {
		return before, after, fmt.Errorf("changing a token: %w", err)
	}
	after.User, err = GetUser(tx, after.UserPK)
	return before, after, err
}

// checkToken answers all that is wrong with a request to make or to change t. That a caller names somebody else
// without being allowed to is refused before anything is looked up, so that the answer does not tell who exists.
func checkToken(tx *sqldb.Tx, caller Caller, in drf.Input[TokenPatch], t *Token, create bool) error {
	p := &in.Patch
	errs := in.Errors()
	named := p.User.Set && !errs.Has("user")
	if named && !caller.owns(p.User.Value) {
		return drf.Forbidden()
	}
	p.check(errs, caller, wall())
	if p.Identifier.Set && !errs.Has("identifier") {
		exists, err := taken(tx, "token", "identifier", p.Identifier.Value, t.PK)
		if err != nil {
			return err
		}
		if exists {
			errs.Add("identifier", msgTokenTaken)
		}
	}
	switch {
	case named:
		if err := checkRefs(tx, errs, "user", "app_user", []int64{p.User.Value}); err != nil {
			return err
		}
	case create && caller.Host && !p.User.Set:
		errs.Add("user", drf.MsgRequired)
	}
	return errs.Err()
}

// insertToken stores a new token.
func insertToken(tx *sqldb.Tx, t *Token, keyHash string) error {
	_, err := tx.Exec(`INSERT INTO token (pk, identifier, user_pk, intent, description, expiring, expires, scopes, key_hash, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		t.PK, t.Identifier, t.UserPK, t.Intent, t.Description, t.Expiring, t.Expires, t.Scopes.String(), keyHash, tx.Now())
	if err != nil {
		return fmt.Errorf("adding a token: %w", err)
	}
	return nil
}

// setKey replaces the key of a token, and answers which that is.
func setKey(tx *sqldb.Tx, caller Caller, identifier string, in drf.Input[keyInput], hash string) (Token, error) {
	t, err := tokenOf(tx, caller, identifier, tx.ForUpdate())
	if err != nil {
		return t, err
	}
	if !caller.Scopes.Has(t.Scopes) {
		return t, drf.Forbidden() // who knows the key of a stronger token is stronger
	}
	if err := in.Err(); err != nil {
		return t, err
	}
	if err := CheckBootstrapKey(in.Patch.Key.Value); err != nil {
		return t, drf.Invalid("key", sentence(err))
	}
	err = changeOne(tx, `UPDATE token SET key_hash = $1 WHERE pk = $2`, hash, t.PK)
	if errors.As(err, new(*sqldb.UniqueError)) {
		return t, drf.Invalid("key", msgKeyTaken)
	}
	if err != nil {
		return t, err
	}
	_, err = tx.Exec(`DELETE FROM user_session WHERE token_pk = $1`, t.PK) // they were opened with the old key
	return t, err
}

// deleteToken deletes a token that the caller may see, and answers which that was.
func deleteToken(tx *sqldb.Tx, caller Caller, identifier string) (Token, error) {
	t, err := tokenOf(tx, caller, identifier, tx.ForUpdate())
	if err != nil {
		return t, err
	}
	return t, changeOne(tx, `DELETE FROM token WHERE pk = $1`, t.PK)
}
