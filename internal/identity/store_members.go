package identity

import (
	"database/sql"
	"fmt"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// changeOne runs a statement that changes one row; sql.ErrNoRows when there is none.
func changeOne(tx *sqldb.Tx, statement string, args ...any) error {
	n, err := tx.Exec(statement, args...)
	if err != nil {
		return fmt.Errorf("changing one row: %w", err)
	}
	if n == 0 {
		return sql.ErrNoRows
	}
	return nil
}

// setMembers makes exactly these users the direct members of the group.
func setMembers(tx *sqldb.Tx, groupPK string, users []int64) error {
	have, err := sqldb.All(tx, scanOne[int64], `SELECT user_pk FROM membership WHERE group_pk = $1`, groupPK)
	if err != nil {
		return fmt.Errorf("reading the members of a group: %w", err)
	}
	added, removed := difference(have, users)
	for _, pk := range removed {
		if err := leave(tx, groupPK, pk); err != nil {
			return err
		}
	}
	for _, pk := range added {
		if err := join(tx, groupPK, pk); err != nil {
			return err
		}
	}
	return nil
}

// join makes a user a member of a group, if it is not one yet.
func join(tx *sqldb.Tx, groupPK string, userPK int64) error {
	if _, err := tx.Exec(`INSERT INTO membership (group_pk, user_pk) VALUES ($1, $2) ON CONFLICT DO NOTHING`, groupPK, userPK); err != nil {
		return fmt.Errorf("adding a member: %w", err)
	}
	return nil
}

// leave ends a membership, if there is one.
func leave(tx *sqldb.Tx, groupPK string, userPK int64) error {
	if _, err := tx.Exec(`DELETE FROM membership WHERE group_pk = $1 AND user_pk = $2`, groupPK, userPK); err != nil {
		return fmt.Errorf("removing a member: %w", err)
	}
	return nil
}

// changeMember runs join or leave for the group and the user that a request names; both must exist. It answers the
// group as it was and as it is.
func changeMember(tx *sqldb.Tx, groupPK string, in drf.Input[accountInput],
	change func(*sqldb.Tx, string, int64) error) (before, after Group, err error) {
	if before, err = lockGroup(tx, groupPK); err != nil {
		return before, after, err
	}
	if err := in.Err(); err != nil {
		return before, after, err
	}
	user := in.Patch.PK.Value
	_, missing, err := firstMissing(tx, "app_user", "pk", []int64{user})
	if err != nil {
		return before, after, err
	}
	if missing {
		return before, after, sql.ErrNoRows
	}
	if err := change(tx, groupPK, user); err != nil {
		return before, after, err
	}
	if err := keepSuperuser(tx); err != nil {
		return before, after, err
	}
	after, err = getGroup(tx, groupPK, false)
	return before, after, err
}

// difference is what want has and have lacks, each once, and what have has and want lacks.
func difference[K comparable](have, want []K) (added, removed []K) {
	wanted := make(map[K]bool, len(want))
	for _, k := range want {
		wanted[k] = true
	}
	for _, k := range have {
		if !wanted[k] {
			removed = append(removed, k)
		}
		delete(wanted, k)
	}
	for _, k := range want {
		if wanted[k] {
			added = append(added, k)
			delete(wanted, k)
		}
	}
	return added, removed
}

// usedBy is one line of a used_by answer.
func usedBy(model, pk, name, action string) drf.UsedBy {
	return drf.UsedBy{App: coreApp, ModelName: model, PK: pk, Name: name, Action: action}
}
