package identity

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// groupColumns of groupFrom are read into what (*Group).columns answers.
const (
	groupColumns = `g.pk, g.num_pk, g.name, g.is_superuser, g.parent_pk, gp.name, g.attributes`
	groupParent  = ` LEFT JOIN user_group gp ON gp.pk = g.parent_pk`
	groupFrom    = `user_group g` + groupParent
)

func (g *Group) columns() []any {
	return []any{&g.PK, &g.NumPK, &g.Name, &g.IsSuperuser, &g.Parent, &g.ParentName, &g.Attributes}
}

func scanGroup(s sqldb.Scanner) (g Group, err error) { return g, s.Scan(g.columns()...) }

const selectGroup = `SELECT ` + groupColumns + ` FROM ` + groupFrom

// GetGroup reads one group with its members; sql.ErrNoRows when there is none.
func GetGroup(tx *sqldb.Tx, pk string) (Group, error) { return getGroup(tx, pk, true) }

func getGroup(tx *sqldb.Tx, pk string, members bool) (Group, error) {
	g, err := sqldb.One(tx, scanGroup, selectGroup+` WHERE g.pk = $1`, pk)
	if err != nil {
		return Group{}, err
	}
	groups := []Group{g}
	err = fillGroups(tx, groups, members)
	return groups[0], err
}

// GetGroups reads groups with their members by their pks; what does not exist is not in the answer.
func GetGroups(tx *sqldb.Tx, pks []string) (map[string]Group, error) {
	found := make(map[string]Group, len(pks))
	for part := range slices.Chunk(pks, batch) {
		var w sqldb.Where
		w.In("g.pk", listing.Args(part)...)
		groups, err := sqldb.All(tx, scanGroup, selectGroup+w.SQL(), w.Args()...)
		if err != nil {
			return nil, fmt.Errorf("reading groups: %w", err)
		}
		if err := fillGroups(tx, groups, true); err != nil {
			return nil, err
		}
		for _, g := range groups {
			found[g.PK] = g
		}
	}
	return found, nil
}

// fillGroups reads the members, the parents and the children of at most one page of groups; members says whether
// the members are wanted as objects too.
func fillGroups(tx *sqldb.Tx, groups []Group, members bool) error {
	at := make(map[string]*Group, len(groups))
	pks := make([]any, len(groups))
	var parents []any
	for i := range groups {
		g := &groups[i]
		at[g.PK], pks[i] = g, g.PK
		g.Users, g.Parents, g.Children = []int64{}, []Group{}, []Group{}
		if members {
			g.UsersObj = []User{}
		}
		if g.Parent != nil {
			parents = append(parents, *g.Parent)
		}
	}
	if err := fillMembers(tx, at, pks, members); err != nil {
		return err
	}
	children, err := relatedGroups(tx, "g.parent_pk", pks)
	if err != nil {
		return err
	}
	for _, child := range children {
		parent := at[*child.Parent]
		parent.Children = append(parent.Children, child)
	}
	related, err := relatedGroups(tx, "g.pk", parents)
	if err != nil {
		return err
	}
	for i := range groups {
		g := &groups[i]
		if n := slices.IndexFunc(related, func(r Group) bool { return g.Parent != nil && r.PK == *g.Parent }); n >= 0 {
			g.Parents = append(g.Parents, related[n])
		}
	}
	return nil
}

func relatedGroups(tx *sqldb.Tx, column string, pks []any) ([]Group, error) {
	var w sqldb.Where
	w.In(column, pks...)
	groups, err := sqldb.All(tx, scanGroup, selectGroup+w.SQL()+` ORDER BY g.name, g.pk`, w.Args()...)
	if err != nil {
		return nil, fmt.Errorf("reading related groups: %w", err)
	}
	return groups, nil
}

// fillMembers reads the members of groups, at their pks; objects says whether as objects too.
func fillMembers(tx *sqldb.Tx, at map[string]*Group, pks []any, objects bool) error {
	columns := "u.pk"
	if objects {
		columns = userColumns
	}
	var w sqldb.Where
	w.In("m.group_pk", pks...)
	query := `SELECT m.group_pk, ` + columns + ` FROM membership m JOIN app_user u ON u.pk = m.user_pk` + w.SQL() + ` ORDER BY u.pk`
	err := each(tx, query, w.Args(), func(s sqldb.Scanner) error {
		var groupPK string
		var u User
		dest := []any{&groupPK, &u.PK}
		if objects {
			dest = append(dest[:1], u.columns()...)
		}
		if err := s.Scan(dest...); err != nil {
			return err
		}
		g := at[groupPK]
		g.Users = append(g.Users, u.PK)
		if objects {
			g.UsersObj = append(g.UsersObj, u)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the members of groups: %w", err)
	}
	return nil
}

// groupTable says how groups are listed.
var groupTable = listing.Table[Group]{
	Columns: groupColumns, From: groupFrom, PK: "g.pk", Scan: scanGroup,
	Text: "g.name || ' ' || CASE WHEN g.is_superuser THEN 'true' ELSE 'false' END",
	Orders: map[string]string{
		"pk": "g.pk", "num_pk": "g.num_pk", "name": "g.name", "is_superuser": "g.is_superuser",
		"parent": "COALESCE(g.parent_pk, '')", "parent__name": "COALESCE(gp.name, '')",
	},
}

// listGroups reads the page of groups that q asks for.
func listGroups(tx *sqldb.Tx, q *drf.Query, members bool) (sqldb.Page[Group], error) {
	var where sqldb.Where
	if err := filterGroups(tx, q, &where); err != nil {
		return sqldb.Page[Group]{}, err
	}
	table, err := byAttributes(&groupTable, "g.attributes", q)
	if err != nil {
		return sqldb.Page[Group]{}, err
	}
	page, err := table.Page(tx, q, where)
	if err != nil {
		return page, err
	}
	return page, fillGroups(tx, page.Rows, members)
}

func filterGroups(tx *sqldb.Tx, q *drf.Query, w *sqldb.Where) error {
	if v, ok := q.Text("name"); ok {
		w.Add("g.name = ?", v)
	}
	if v, ok := q.Bool("is_superuser"); ok {
		w.Add("g.is_superuser = ?", v)
	}
	if names := q.Texts("members_by_username"); len(names) > 0 {
		if err := checkChoices(tx, "members_by_username", "app_user", "username", names); err != nil {
			return err
		}
		w.Add(`g.pk IN (SELECT fm.group_pk FROM membership fm JOIN app_user fu ON fu.pk = fm.user_pk WHERE fu.username IN (`+
			marks(len(names))+`))`, listing.Args(names)...)
	}
	var pks []int64
	for _, text := range q.Texts("members_by_pk") {
		pk, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return drf.Invalid("members_by_pk", "“"+text+"” is not a valid value.")
		}
		pks = append(pks, pk)
	}
	if len(pks) == 0 {
		return nil
	}
	w.Add(`g.pk IN (SELECT fm.group_pk FROM membership fm WHERE fm.user_pk IN (`+marks(len(pks))+`))`, listing.Args(pks)...)
	return checkChoices(tx, "members_by_pk", "app_user", "pk", pks)
}

// createGroup makes a group of what the request says.
func createGroup(tx *sqldb.Tx, in drf.Input[GroupPatch]) (Group, error) {
	if err := BumpGeneration(tx); err != nil {
		return Group{}, err
	}
	if err := checkGroup(tx, in, ""); err != nil {
		return Group{}, err
	}
	g := Group{PK: sqldb.NewID(), Attributes: "{}"}
	in.Patch.apply(&g)
	if err := insertGroup(tx, &g); err != nil {
		return Group{}, err
	}
	if err := setMembers(tx, g.PK, in.Patch.Users.Value); err != nil {
		return Group{}, err
	}
	return GetGroup(tx, g.PK)
}

// updateGroup changes a group by what the request says, and answers it as it was and as it is.
func updateGroup(tx *sqldb.Tx, pk string, in drf.Input[GroupPatch]) (before, after Group, err error) {
	if before, err = lockGroup(tx, pk); err != nil {
		return before, after, err
	}
	if err := checkGroup(tx, in, pk); err != nil {
		return before, after, err
	}
	g := before
	in.Patch.apply(&g)
	if _, err := tx.Exec(`UPDATE user_group SET name = $1, is_superuser = $2, parent_pk = $3, attributes = $4 WHERE pk = $5`,
		g.Name, g.IsSuperuser, g.Parent, g.Attributes, pk); err != nil {
		return before, after, fmt.Errorf("changing a group: %w", err)
	}
	if in.Patch.Users.Set {
		if err := setMembers(tx, pk, in.Patch.Users.Value); err != nil {
			return before, after, err
		}
	}
	if err := keepSuperuser(tx); err != nil {
		return before, after, err
	}
	after, err = GetGroup(tx, pk)
	return before, after, err
}

// lockGroup begins a change of a group, and answers it as it is; sql.ErrNoRows when there is none.
func lockGroup(tx *sqldb.Tx, pk string) (Group, error) {
	if err := BumpGeneration(tx); err != nil {
		return Group{}, err
	}
	var locked string
	// A statement of its own: PostgreSQL refuses to lock the row that an outer join may lack.
	if err := tx.Row(`SELECT g.pk FROM user_group g WHERE g.pk = $1`+tx.ForUpdate(), []any{pk}, &locked); err != nil {
		return Group{}, err
	}
	return getGroup(tx, pk, false)
}

// checkGroup answers all that is wrong with a request to make the group, or to change it.
func checkGroup(tx *sqldb.Tx, in drf.Input[GroupPatch], pk string) error {
	errs := in.Errors()
	in.Patch.check(errs)
	if name := in.Patch.Name; name.Set && !errs.Has("name") {
		exists, err := taken(tx, "user_group", "name", name.Value, pk)
		if err != nil {
			return err
		}
		if exists {
			errs.Add("name", "Group with this name already exists.")
		}
	}
	if err := checkParent(tx, errs, &in.Patch, pk); err != nil {
		return err
	}
	if err := checkRefs(tx, errs, "users", "app_user", in.Patch.Users.Value); err != nil {
		return err
	}
	return errs.Err()
}

// checkParent adds an error if the new parent does not exist, or is the group itself or one of its descendants.
func checkParent(tx *sqldb.Tx, errs *drf.Errors, p *GroupPatch, pk string) error {
	parent, field := p.parent()
	switch {
	case !parent.Set || parent.Null || errs.Has(field):
		return nil
	case parent.Value == pk:
		errs.Add(field, "Cannot set group as parent of itself.")
		return nil
	}
	if err := checkRefs(tx, errs, field, "user_group", []string{parent.Value}); err != nil {
		return err
	}
	var one int
	err := tx.Row(`WITH RECURSIVE up (pk) AS (
		SELECT p.pk FROM user_group p WHERE p.pk = $1
		UNION
		SELECT c.parent_pk FROM user_group c JOIN up ON up.pk = c.pk WHERE c.parent_pk IS NOT NULL
	) SELECT 1 FROM up WHERE up.pk = $2`, []any{parent.Value, pk}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		errs.Add(field, "Cannot set a group below this one as its parent.")
	}
	return err
}

// insertGroup stores a new group and gives it its number.
func insertGroup(tx *sqldb.Tx, g *Group) (err error) {
	if g.NumPK, err = nextSerial(tx, "group"); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO user_group (pk, num_pk, name, is_superuser, parent_pk, attributes) VALUES ($1, $2, $3, $4, $5, $6)`,
		g.PK, g.NumPK, g.Name, g.IsSuperuser, g.Parent, g.Attributes)
	if err != nil {
		return fmt.Errorf("adding a group: %w", err)
	}
	return nil
}

// deleteGroup deletes a group: its children lose their parent, its members their membership. It answers which that was.
func deleteGroup(tx *sqldb.Tx, pk string) (Group, error) {
	g, err := lockGroup(tx, pk)
	if err != nil {
		return Group{}, err
	}
	if err := changeOne(tx, `DELETE FROM user_group WHERE pk = $1`, pk); err != nil {
		return Group{}, err
	}
	return g, keepSuperuser(tx)
}

// groupUsedBy lists what refers to a group, as far as it belongs to this package.
func groupUsedBy(tx *sqldb.Tx, pk string) ([]drf.UsedBy, error) {
	g, err := GetGroup(tx, pk)
	if err != nil {
		return nil, err
	}
	list := []drf.UsedBy{}
	for _, u := range g.UsersObj {
		list = append(list, usedBy("user", strconv.FormatInt(u.PK, 10), u.Username, "cascade_many"))
	}
	for _, child := range g.Children {
		list = append(list, usedBy("group", child.PK, child.usedByName(), "set_null"))
	}
	return list, nil
}
