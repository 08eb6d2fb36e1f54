package identity

import (
	"fmt"

	"belfry/internal/sqldb"
)

// Person is what the directory knows of a user. It is little, because all users are kept in memory; the rest is [GetUsers]'.
type Person struct {
	Username, Email string
	Name            string // at most its first 150 characters
	Active          bool
	Superuser       bool // by its groups and their ancestors
}

// Directory is who there is and who belongs to which group, at one moment. It never changes and may be used from any
// goroutine; the slices that it answers are not to be changed.
type Directory struct {
	people     map[int64]Person
	recipients map[string][]int64 // by group: its active direct members
	groups     map[int64][]string // by user: the groups that it is a direct member of
	sizes      map[string]int     // by group: how many direct members it has, the inactive ones too
	parents    map[string]string  // by group
	names      map[string]string  // of groups
	superusers []int64
}

// LoadDirectory reads the directory of the transaction's moment.
func LoadDirectory(tx *sqldb.Tx) (*Directory, error) {
	d := &Directory{
		people:     map[int64]Person{},
		recipients: map[string][]int64{},
		groups:     map[int64][]string{},
		sizes:      map[string]int{},
		parents:    map[string]string{},
		names:      map[string]string{},
	}
	for _, load := range []func(*sqldb.Tx) error{d.loadPeople, d.loadMembers, d.loadGroups} {
		if err := load(tx); err != nil {
			return nil, fmt.Errorf("loading the directory: %w", err)
		}
	}
	return d, nil
}

func (d *Directory) loadPeople(tx *sqldb.Tx) error {
	_, err := sqldb.All(tx, func(row sqldb.Scanner) (none struct{}, err error) {
		var pk int64
		var p Person
		if err := row.Scan(&pk, &p.Username, &p.Email, &p.Name, &p.Active, &p.Superuser); err != nil {
			return none, err
		}
		d.people[pk] = p
		if p.Active && p.Superuser {
			d.superusers = append(d.superusers, pk)
		}
		return none, nil
	}, `SELECT u.pk, u.username, u.email, substr(u.name, 1, 150), u.is_active, `+isSuperuser+` FROM app_user u ORDER BY u.pk`)
	return err
}

func (d *Directory) loadMembers(tx *sqldb.Tx) error {
	members, err := sqldb.All(tx, scanMembership, `SELECT m.group_pk, m.user_pk FROM membership m ORDER BY m.user_pk`)
	if err != nil {
		return err
	}
	for _, m := range members {
		d.groups[m.user] = append(d.groups[m.user], m.group)
		d.sizes[m.group]++
		if d.people[m.user].Active {
			d.recipients[m.group] = append(d.recipients[m.group], m.user)
		}
	}
	return nil
}

func (d *Directory) loadGroups(tx *sqldb.Tx) error {
	groups, err := sqldb.All(tx, scanGroup, selectGroup)
	if err != nil {
		return err
	}
	for _, g := range groups {
		d.names[g.PK] = g.Name
		if g.Parent != nil {
			d.parents[g.PK] = *g.Parent
		}
	}
	return nil
}

type membership struct {
	group string
	user  int64
}

func scanMembership(s sqldb.Scanner) (m membership, err error) { return m, s.Scan(&m.group, &m.user) }

// Members are the active direct members of the group, by ascending pk: those who receive what is sent to it.
func (d *Directory) Members(groupPK string) []int64 { return d.recipients[groupPK] }

// GroupName is the name of the group, "" where there is none.
func (d *Directory) GroupName(groupPK string) string { return d.names[groupPK] }

// Size is how many direct members the group has, the inactive ones too.
func (d *Directory) Size(groupPK string) int { return d.sizes[groupPK] }

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

// Person is the user with the key, if there is one.
func (d *Directory) Person(userPK int64) (Person, bool) {
	p, ok := d.people[userPK]
	return p, ok
}

// Active reports whether the user exists and is active.
func (d *Directory) Active(userPK int64) bool { return d.people[userPK].Active }

// Superusers are the active superusers, by ascending pk.
func (d *Directory) Superusers() []int64 { return d.superusers }

// ActiveUsers are the keys of the active users.
func ActiveUsers(tx *sqldb.Tx) (map[int64]bool, error) {
	pks, err := sqldb.All(tx, scanOne[int64], `SELECT u.pk FROM app_user u WHERE u.is_active`)
	if err != nil {
		return nil, fmt.Errorf("reading the active users: %w", err)
	}
	active := make(map[int64]bool, len(pks))
	for _, pk := range pks {
		active[pk] = true
	}
	return active, nil
}
