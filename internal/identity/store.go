package identity

import (
	"database/sql"
	"errors"
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// The names of what the first start makes.
const (
	adminUsername    = "akadmin"
	adminName        = "authentik Default Admin"
	firstTokenName   = "belfry-first-start"
	msgLastSuperuser = "The last active superuser cannot be deleted, disabled or removed from its group."
)

// AdminsGroup is the name of the group that the first start makes for superusers.
const AdminsGroup = "authentik Admins"

// superGroups are the pks of the groups whose members are superusers: those that say so and all their descendants.
const superGroups = `WITH RECURSIVE super (pk) AS (
	SELECT s.pk FROM user_group s WHERE s.is_superuser
	UNION
	SELECT c.pk FROM user_group c JOIN super ON super.pk = c.parent_pk
) SELECT super.pk FROM super`

// isSuperuser is the condition that user u is a superuser. It refers to u outside of the subquery only, so that
// PostgreSQL evaluates that once and not for every user.
const isSuperuser = `(u.pk IN (SELECT sm.user_pk FROM membership sm WHERE sm.group_pk IN (` + superGroups + `)))`

// Seed fills a new database: akadmin without a password, its group of superusers, and one token of it, which does not
// expire, with the key whose hash is given. It answers the group's pk.
func Seed(tx *sqldb.Tx, keyHash string) (adminsGroupPK string, err error) {
	user := newUser(tx.Now())
	user.Username, user.Name = adminUsername, adminName
	if err := insertUser(tx, &user); err != nil {
		return "", err
	}
	group := Group{PK: sqldb.NewID(), Name: AdminsGroup, IsSuperuser: true, Attributes: "{}"}
	if err := insertGroup(tx, &group); err != nil {
		return "", err
	}
	if err := setMembers(tx, group.PK, []int64{user.PK}); err != nil {
		return "", err
	}
	token := newToken(wall())
	token.Identifier, token.UserPK, token.Scopes, token.Expiring = firstTokenName, user.PK, ScopeAdmin, false
	return group.PK, insertToken(tx, &token, keyHash)
}

// BumpGeneration says that who receives what may have changed. It also lets one change of users and groups run at a
// time: called before anything is read, it makes every check of the change hold until its commit, on PostgreSQL too.
func BumpGeneration(tx *sqldb.Tx) error {
	if _, err := tx.Exec(`UPDATE generation SET value = value + 1 WHERE id = 1`); err != nil {
		return fmt.Errorf("raising the generation: %w", err)
	}
	return nil
}

// Generation is a number that goes up with every change that can alter which rules match an event or who receives
// it. It is for reads; [HoldGeneration] is for writes.
func Generation(tx *sqldb.Tx) (int64, error) { return generation(tx, "") }

// HoldGeneration is the [Generation] of a write, and keeps it from changing until the commit.
func HoldGeneration(tx *sqldb.Tx) (int64, error) { return generation(tx, tx.ForShare()) }

func generation(tx *sqldb.Tx, lock string) (int64, error) {
	var value int64
	if err := tx.Row(`SELECT value FROM generation WHERE id = 1`+lock, nil, &value); err != nil {
		return 0, fmt.Errorf("reading the generation: %w", err)
	}
	return value, nil
}

// keepSuperuser refuses a change after which nobody could administer the server.
func keepSuperuser(tx *sqldb.Tx) error {
	var one int
	err := tx.Row(`SELECT 1 FROM app_user u WHERE u.is_active AND `+isSuperuser+` LIMIT 1`, nil, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return drf.Invalid("", msgLastSuperuser)
	}
	return err
}

// nextSerial is the next integer of a series, "user" or "group". None is given out twice.
func nextSerial(tx *sqldb.Tx, name string) (int64, error) {
	var value int64
	err := tx.Row(`UPDATE serial SET value = value + 1 WHERE name = $1 RETURNING value`, []any{name}, &value)
	if err != nil {
		return 0, fmt.Errorf("taking the next number of %s: %w", name, err)
	}
	return value, nil
}

// taken reports whether another row than that with the given pk has the value in a unique column.
func taken(tx *sqldb.Tx, table, column, value string, pk any) (bool, error) {
	var one int
	err := tx.Row(`SELECT 1 FROM `+table+` WHERE `+column+` = $1 AND pk <> $2`, []any{value, pk}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
