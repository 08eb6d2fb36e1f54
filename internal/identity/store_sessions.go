package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

const (
	// A session ends no later than its token: nobody is shown a longer time.
	sessionColumns = `s.pk, s.user_pk, u.username, s.token_pk, s.created, s.last_used,
	CASE WHEN t.expiring AND t.expires < s.expires THEN t.expires ELSE s.expires END, s.user_agent, s.client_ip`
	sessionFrom = `user_session s JOIN app_user u ON u.pk = s.user_pk LEFT JOIN token t ON t.pk = s.token_pk`
)

func (s *Session) columns() []any {
	return []any{&s.PK, &s.UserPK, &s.Username, &s.TokenPK, &s.Created, &s.LastUsed, &s.Expires, &s.UserAgent, &s.ClientIP}
}

func scanSession(row sqldb.Scanner) (s Session, err error) { return s, row.Scan(s.columns()...) }

// end is when a session whose user and token are in order can be used no more, unless it is used before.
func (s *Session) end() int64 { return min(s.Expires, s.LastUsed+sessionIdle.Microseconds()) }

// whereAlive restricts a list to sessions that can be used.
func whereAlive(w *sqldb.Where) {
	now := wall()
	w.Add("u.is_active AND s.expires > ? AND s.last_used > ?", now, now-sessionIdle.Microseconds())
	w.Add("(t.pk IS NULL OR t.user_pk = s.user_pk AND t.intent = ? AND (NOT t.expiring OR t.expires > ?))", intentAPI, now)
}

// callerBySession is callerByKey for the secret of a session. A token that opened it must still be good, and its user's.
const callerBySession = `
WITH RECURSIVE up (pk, parent_pk, is_superuser) AS (
	SELECT g.pk, g.parent_pk, g.is_superuser
	FROM user_session s JOIN membership m ON m.user_pk = s.user_pk JOIN user_group g ON g.pk = m.group_pk
	WHERE s.secret_hash = $1
	UNION
	SELECT g.pk, g.parent_pk, g.is_superuser FROM up JOIN user_group g ON g.pk = up.parent_pk
)
SELECT ` + sessionColumns + `, t.scopes, COALESCE(t.pk IS NULL OR t.user_pk = s.user_pk AND t.intent = '` + intentAPI + `', FALSE), ` + userColumns + `,
	EXISTS (SELECT 1 FROM up WHERE up.is_superuser)
FROM ` + sessionFrom + ` WHERE s.secret_hash = $1`

// bySession is the caller whose session has a secret of the hash; false if there is none that is valid now.
func (a *API) bySession(ctx context.Context, hash string) (caller Caller, valid bool, err error) {
	if caller, known := a.callers.known(credential{session: true, hash: hash}); known {
		return caller, true, nil
	}
	now := a.callers.now()
	var until int64
	err = a.DB.ReadQuick(ctx, func(tx *sqldb.Tx) error {
		var s Session
		var scopes *string
		var good bool
		u := &caller.User
		dest := append(append(s.columns(), &scopes, &good), u.columns()...)
		err := tx.Row(callerBySession, []any{hash}, append(dest, &u.IsSuperuser)...)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		caller.credential, caller.lastUsed = hash, s.LastUsed
		caller.SessionPK, caller.Superuser, caller.Scopes = s.PK, u.IsSuperuser, ScopeAdmin
		if scopes != nil {
			caller.TokenPK, caller.Scopes = *s.TokenPK, scopesOf(strings.Fields(*scopes))
		}
		until = s.end()
		valid = good && u.IsActive && until > wall()
		return err
	})
	if err != nil || !valid {
		return caller, false, err
	}
	a.callers.learn(now, credential{session: true, hash: hash}, caller, until)
	return caller, true, nil
}

// noteUse notes that a session was used, once a minute. Where that fails the session ends sooner than it could, and
// the request is answered all the same: storage that takes no writes can be looked at.
func (a *API) noteUse(ctx context.Context, c Caller) {
	now := wall()
	if c.SessionPK == "" || now-c.lastUsed < sessionGrain.Microseconds() {
		return
	}
	err := a.DB.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE user_session SET last_used = $1 WHERE pk = $2 AND last_used < $1`, now, c.SessionPK)
		return err
	})
	if err != nil && ctx.Err() == nil {
		a.Log.Warn("the use of a session could not be noted: it may end sooner", "user", c.User.PK, "error", err)
	}
}

// sessionTable says how sessions are listed.
var sessionTable = listing.Table[Session]{
	Columns: sessionColumns, From: sessionFrom, PK: "s.pk", Scan: scanSession,
	Text:  "u.username || ' ' || s.user_agent || ' ' || COALESCE(s.client_ip, '')",
	Exact: [][2]string{{"user__username", "u.username"}},
	Orders: map[string]string{
		"pk": "s.pk", "user": "s.user_pk", "created": "s.created", "last_used": "s.last_used", "expires": "s.expires",
	},
}

// ofUser restricts a query to the sessions of a user, or not at all for everybody's.
func ofUser(w *sqldb.Where, user int64) {
	if user != everybody {
		w.Add("s.user_pk = ?", user)
	}
}

// everybody is the user whose sessions are those of all; no user has this key.
const everybody = -1

// listSessions reads the page of sessions that q asks for, of those of a user, or everybody's.
func listSessions(tx *sqldb.Tx, user int64, q *drf.Query) (sqldb.Page[Session], error) {
	var where sqldb.Where
	ofUser(&where, user)
	if v, ok := q.Int("user"); ok {
		where.Add("s.user_pk = ?", v)
	}
	whereAlive(&where)
	return sessionTable.Page(tx, q, where)
}

// getSession reads one session of a user, or of anybody; sql.ErrNoRows when there is none that can be used.
func getSession(tx *sqldb.Tx, user int64, pk string) (Session, error) {
	var where sqldb.Where
	where.Add("s.pk = ?", pk)
	ofUser(&where, user)
	whereAlive(&where)
	return sqldb.One(tx, scanSession, "SELECT "+sessionColumns+" FROM "+sessionFrom+where.SQL(), where.Args()...)
}

// openSession stores a new session of who has proved who they are, and ends the one of the browser before. What the
// proof was made of must still be so: errChanged if not.
func openSession(tx *sqldb.Tx, s *Session, p proof, secretHash, before string) error {
	if err := p.holds(tx, s.UserPK); err != nil {
		return err
	}
	now := s.Created
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{`DELETE FROM user_session WHERE secret_hash = $1`, []any{before}},
		{`DELETE FROM user_session WHERE user_pk = $1 AND (expires <= $2 OR last_used <= $3)`,
			[]any{s.UserPK, now, now - sessionIdle.Microseconds()}},
		{`DELETE FROM user_session WHERE pk IN (SELECT pk FROM user_session WHERE user_pk = $1 ORDER BY last_used DESC, pk DESC LIMIT $2 OFFSET $3)`,
			[]any{s.UserPK, maxSessions, maxSessions - 1}},
		{`INSERT INTO user_session (pk, user_pk, token_pk, secret_hash, created, last_used, expires, user_agent, client_ip)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			[]any{s.PK, s.UserPK, s.TokenPK, secretHash, s.Created, s.LastUsed, s.Expires, s.UserAgent, s.ClientIP}},
		{`UPDATE app_user SET last_login = $1 WHERE pk = $2`, []any{now, s.UserPK}},
	} {
		if _, err := tx.Exec(step.statement, step.args...); err != nil {
			return fmt.Errorf("opening a session: %w", err)
		}
	}
	return nil
}

// errChanged says that what a sign-in was checked by is not so any more.
var errChanged = errors.New("identity: the credentials have changed since they were checked")

// proof is what a user was known by: a password's stored hash, or a token's.
type proof struct {
	password string // argon2id in PHC form
	token    string // HashKey of its key
}

// holds answers errChanged unless the proof is still one of the user's, and keeps it so until the commit.
func (p proof) holds(tx *sqldb.Tx, user int64) error {
	var one int
	query, with := `SELECT 1 FROM app_user WHERE pk = $1 AND is_active AND password = $2`, p.password
	if p.token != "" {
		query, with = `SELECT 1 FROM token WHERE user_pk = $1 AND key_hash = $2`, p.token
	}
	err := tx.Row(query+tx.ForUpdate(), []any{user, with}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return errChanged
	}
	return err
}

// endSession ends one session; one that has ended already is no error.
func endSession(tx *sqldb.Tx, pk string) error {
	if _, err := tx.Exec(`DELETE FROM user_session WHERE pk = $1`, pk); err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

// endSessions ends all sessions of a user but one; "" for all.
func endSessions(tx *sqldb.Tx, user int64, but string) error {
	if _, err := tx.Exec(`DELETE FROM user_session WHERE user_pk = $1 AND pk <> $2`, user, but); err != nil {
		return fmt.Errorf("ending the sessions of a user: %w", err)
	}
	return nil
}
