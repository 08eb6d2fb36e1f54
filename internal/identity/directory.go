package identity

import (
	"fmt"

	"belfry/internal/sqldb"
)

// Directory is who belongs to which group, at one moment. It never changes and may be used from any goroutine;
// the slices that it answers are not to be changed.
type Directory struct {
	active     map[int64]bool
	recipients map[string][]int64 // by group: its active direct members
	groups     map[int64][]string // by user: the groups that it is a direct member of
	parents    map[string]string  // by group
	superusers []int64
}

// LoadDirectory reads the directory of the transaction's moment.
func LoadDirectory(tx *sqldb.Tx) (*Directory, error) {
	d := &Directory{
		active:     map[int64]bool{},
		recipients: map[string][]int64{},
		groups:     map[int64][]string{},
		parents:    map[string]string{},
	}
	if err := d.load(tx); err != nil {
		return nil, fmt.Errorf("loading the directory: %w", err)
	}
	return d, nil
}

func (d *Directory) load(tx *sqldb.Tx) error {
	active, err := sqldb.All(tx, scanOne[int64], `SELECT u.pk FROM app_user u WHERE u.is_active`)
	if err != nil {
		return err
	}
	for _, pk := range active {
		d.active[pk] = true
	}
	members, err := sqldb.All(tx, scanMembership, `SELECT m.group_pk, m.user_pk FROM membership m ORDER BY m.user_pk`)
	if err != nil {
		return err
	}
	for _, m := range members {
		d.groups[m.user] = append(d.groups[m.user], m.group)
		if d.active[m.user] {
			d.recipients[m.group] = append(d.recipients[m.group], m.user)
		}
	}
	children, err := sqldb.All(tx, scanGroup, selectGroup+` WHERE g.parent_pk IS NOT NULL`)
	if err != nil {
		return err
	}
	for _, g := range children {
		d.parents[g.PK] = *g.Parent
	}
	d.superusers, err = sqldb.All(tx, scanOne[int64],
		`SELECT u.pk FROM app_user u WHERE u.is_active AND `+isSuperuser+` ORDER BY u.pk`)
	return err
}

type membership struct {
	group string
	user  int64
}

func scanMembership(s sqldb.Scanner) (m membership, err error) { return m, s.Scan(&m.group, &m.user) }

// Members are the active direct members of the group, by ascending pk: those who receive what is sent to it.
func (d *Directory) Members(groupPK string) []int64 { return d.recipients[groupPK] }

// IsMember reports whether the user, active or not, belongs to the group: by itself, or, as in authentik, to one
// of the groups below it.
func (d *Directory) IsMember(groupPK string, userPK int64) bool {
	for _, pk := range d.groups[userPK] {
		for ; pk != ""; pk = d.parents[pk] {
			if pk == groupPK {
				return true
			}
		}
	}
	return false
}

// Active reports whether the user exists and is active.
func (d *Directory) Active(userPK int64) bool { return d.active[userPK] }

// Superusers are the active superusers, by ascending pk.
func (d *Directory) Superusers() []int64 { return d.superusers }
