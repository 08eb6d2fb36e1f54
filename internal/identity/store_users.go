package identity

import (
	"database/sql"
	"fmt"
	"slices"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// userColumns are read into what (*User).columns answers.
const userColumns = `u.pk, u.uuid, u.username, u.name, u.email, u.path, u.type, u.is_active, u.attributes,
	u.date_joined, u.last_updated, u.last_login, u.password_change_date`

func (u *User) columns() []any {
	return []any{&u.PK, &u.UUID, &u.Username, &u.Name, &u.Email, &u.Path, &u.Type, &u.IsActive, &u.Attributes,
		&u.DateJoined, &u.LastUpdated, &u.LastLogin, &u.PasswordChanged}
}

func scanUser(s sqldb.Scanner) (u User, err error) {
	return u, s.Scan(append(u.columns(), &u.IsSuperuser)...)
}

// selectUser reads users with what follows from their groups.
const selectUser = `SELECT ` + userColumns + `, ` + isSuperuser + ` FROM app_user u`

// newUser is a user as the API makes one of nothing.
func newUser(now int64) User {
	return User{UUID: sqldb.NewID(), Path: "users", Type: "internal", IsActive: true, Attributes: "{}",
		DateJoined: now, LastUpdated: now, PasswordChanged: now}
}

// GetUser reads one user; sql.ErrNoRows when there is none.
func GetUser(tx *sqldb.Tx, pk int64) (User, error) {
	users, err := GetUsers(tx, []int64{pk})
	if err != nil {
		return User{}, err
	}
	u, ok := users[pk]
	if !ok {
		return User{}, sql.ErrNoRows
	}
	return u, nil
}

// GetUsers reads users by their pks; what does not exist is not in the answer.
func GetUsers(tx *sqldb.Tx, pks []int64) (map[int64]User, error) {
	found := make(map[int64]User, len(pks))
	for part := range slices.Chunk(pks, batch) {
		var w sqldb.Where
		w.In("u.pk", listing.Args(part)...)
		users, err := sqldb.All(tx, scanUser, selectUser+w.SQL(), w.Args()...)
		if err != nil {
			return nil, fmt.Errorf("reading users: %w", err)
		}
		if err := fillUsers(tx, users, true); err != nil {
			return nil, err
		}
		for _, u := range users {
			found[u.PK] = u
		}
	}
	return found, nil
}

// fillUsers reads the groups of at most one page of users; objects says whether as objects too.
func fillUsers(tx *sqldb.Tx, users []User, objects bool) error {
	at := make(map[int64]*User, len(users))
	pks := make([]any, len(users))
	for i := range users {
		u := &users[i]
		at[u.PK], pks[i], u.Groups = u, u.PK, []string{}
		if objects {
			u.GroupsObj = []Group{}
		}
	}
	var w sqldb.Where
	w.In("m.user_pk", pks...)
	query := `SELECT m.user_pk, ` + groupColumns + ` FROM membership m JOIN user_group g ON g.pk = m.group_pk` + groupParent +
		w.SQL() + ` ORDER BY g.name, g.pk`
	err := each(tx, query, w.Args(), func(s sqldb.Scanner) error {
		var userPK int64
		var g Group
		if err := s.Scan(append([]any{&userPK}, g.columns()...)...); err != nil {
			return err
		}
		u := at[userPK]
		u.Groups = append(u.Groups, g.PK)
		if objects {
			u.GroupsObj = append(u.GroupsObj, g)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the groups of users: %w", err)
	}
	return nil
}

// sessionUser is the user with all groups that it belongs to, by itself or by a group below.
func sessionUser(tx *sqldb.Tx, pk int64) (SessionUser, error) {
	u, err := GetUser(tx, pk)
	if err != nil {
		return SessionUser{}, err
	}
	u.GroupsObj, err = sqldb.All(tx, scanGroup, `WITH RECURSIVE up (pk) AS (
		SELECT m.group_pk FROM membership m WHERE m.user_pk = $1
		UNION
		SELECT c.parent_pk FROM user_group c JOIN up ON up.pk = c.pk WHERE c.parent_pk IS NOT NULL
	) SELECT `+groupColumns+` FROM up JOIN user_group g ON g.pk = up.pk`+groupParent+` ORDER BY g.name, g.pk`, pk)
	if err != nil {
		return SessionUser{}, fmt.Errorf("reading the groups of a user: %w", err)
	}
	return SessionUser{User: u}, nil
}

// userTable says how users are listed.
var userTable = listing.Table[User]{
	Columns: userColumns + ", " + isSuperuser, From: "app_user u", PK: "u.pk", Scan: scanUser,
	Text: "u.username || ' ' || u.name || ' ' || u.email || ' ' || u.uuid",
	Orders: map[string]string{
		"pk": "u.pk", "username": "u.username", "name": "u.name", "is_active": "u.is_active",
		"last_login": "COALESCE(u.last_login, 9223372036854775807)", // never stands after every time, as on PostgreSQL
		"email":      "u.email", "path": "u.path", "type": "u.type", "uuid": "u.uuid", "date_joined": "u.date_joined",
		"last_updated": "u.last_updated", "password_change_date": "u.password_change_date",
	},
}

// listUsers reads the page of users that q asks for.
func listUsers(tx *sqldb.Tx, q *drf.Query, groupObjects bool) (sqldb.Page[User], error) {
	var where sqldb.Where
	if err := filterUsers(tx, q, &where); err != nil {
		return sqldb.Page[User]{}, err
	}
	table, err := byAttributes(&userTable, "u.attributes", q)
	if err != nil {
		return sqldb.Page[User]{}, err
	}
	page, err := table.Page(tx, q, where)
	if err != nil {
		return page, err
	}
	return page, fillUsers(tx, page.Rows, groupObjects)
}

func filterUsers(tx *sqldb.Tx, q *drf.Query, w *sqldb.Where) error {
	for _, name := range []string{"username", "name", "email", "path", "uuid"} {
		if v, ok := q.Text(name); ok {
			w.Add("u."+name+" = ?", v)
		}
	}
	if v, ok := q.Text("path_startswith"); ok {
		w.Add("substr(u.path, 1, length(?)) = ?", v, v)
	}
	if v, ok := q.Bool("is_active"); ok {
		w.Add("u.is_active = ?", v)
	}
	if v, ok := q.Bool("is_superuser"); ok {
		w.Add(isSuperuser+" = ?", v)
	}
	if types := q.Texts("type"); len(types) > 0 {
		w.In("u.type", listing.Args(types)...)
	}
	for _, column := range []string{"pk", "name"} {
		filter := "groups_by_" + column
		values := q.Texts(filter)
		if len(values) == 0 {
			continue
		}
		if err := checkChoices(tx, filter, "user_group", column, values); err != nil {
			return err
		}
		w.Add(`u.pk IN (SELECT fm.user_pk FROM membership fm JOIN user_group fg ON fg.pk = fm.group_pk WHERE fg.`+
			column+` IN (`+marks(len(values))+`))`, listing.Args(values)...)
	}
	return nil
}

// createUser makes a user of what the request says.
func createUser(tx *sqldb.Tx, in drf.Input[UserPatch]) (User, error) {
	if err := BumpGeneration(tx); err != nil {
		return User{}, err
	}
	if err := checkUser(tx, in, 0); err != nil {
		return User{}, err
	}
	u := newUser(tx.Now())
	in.Patch.apply(&u)
	if err := insertUser(tx, &u); err != nil {
		return User{}, err
	}
	if err := setGroups(tx, u.PK, in.Patch.Groups.Value); err != nil {
		return User{}, err
	}
	return GetUser(tx, u.PK)
}

// updateUser changes a user by what the request says, and answers it as it was and as it is.
func updateUser(tx *sqldb.Tx, pk int64, in drf.Input[UserPatch]) (before, after User, err error) {
	if err := BumpGeneration(tx); err != nil {
		return before, after, err
	}
	if before, err = lockUser(tx, pk); err != nil {
		return before, after, err
	}
	if err := checkUser(tx, in, pk); err != nil {
		return before, after, err
	}
	u := before
	in.Patch.apply(&u)
	if _, err := tx.Exec(`UPDATE app_user SET username = $1, name = $2, email = $3, path = $4, type = $5, is_active = $6,
		attributes = $7, last_login = $8, last_updated = $9 WHERE pk = $10`,
		u.Username, u.Name, u.Email, u.Path, u.Type, u.IsActive, u.Attributes, u.LastLogin, tx.Now(), pk); err != nil {
		return before, after, fmt.Errorf("changing a user: %w", err)
	}
	if !u.IsActive { // else they would be good again once the user is
		if err := endSessions(tx, pk, ""); err != nil {
			return before, after, err
		}
	}
	if in.Patch.Groups.Set {
		if err := setGroups(tx, pk, in.Patch.Groups.Value); err != nil {
			return before, after, err
		}
	}
	if err := keepSuperuser(tx); err != nil {
		return before, after, err
	}
	after, err = GetUser(tx, pk)
	return before, after, err
}

// lockUser reads a user that is going to be changed, with its groups; sql.ErrNoRows when there is none.
func lockUser(tx *sqldb.Tx, pk int64) (User, error) {
	u, err := sqldb.One(tx, scanUser, selectUser+` WHERE u.pk = $1`+tx.ForUpdate(), pk)
	if err != nil {
		return User{}, err
	}
	users := []User{u}
	err = fillUsers(tx, users, false)
	return users[0], err
}

// checkUser answers all that is wrong with a request to make the user, or to change it.
func checkUser(tx *sqldb.Tx, in drf.Input[UserPatch], pk int64) error {
	errs := in.Errors()
	in.Patch.check(errs)
	if name := in.Patch.Username; name.Set && !errs.Has("username") {
		exists, err := taken(tx, "app_user", "username", name.Value, pk)
		if err != nil {
			return err
		}
		if exists {
			errs.Add("username", "User with this username already exists.")
		}
	}
	if err := checkRefs(tx, errs, "groups", "user_group", in.Patch.Groups.Value); err != nil {
		return err
	}
	return errs.Err()
}

// insertUser stores a new user and gives it its pk.
func insertUser(tx *sqldb.Tx, u *User) (err error) {
	if u.PK, err = nextSerial(tx, "user"); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO app_user (pk, uuid, username, name, email, path, type, is_active, attributes, password,
		date_joined, last_updated, last_login, password_change_date) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', $10, $11, $12, $13)`,
		u.PK, u.UUID, u.Username, u.Name, u.Email, u.Path, u.Type, u.IsActive, u.Attributes,
		u.DateJoined, u.LastUpdated, u.LastLogin, u.PasswordChanged)
	if err != nil {
		return fmt.Errorf("adding a user: %w", err)
	}
	return nil
}

// deleteUser deletes a user and, by foreign keys, all that is its own. It answers who that was.
func deleteUser(tx *sqldb.Tx, pk int64) (User, error) {
	if err := BumpGeneration(tx); err != nil {
		return User{}, err
	}
	u, err := lockUser(tx, pk)
	if err != nil {
		return User{}, err
	}
	if err := changeOne(tx, `DELETE FROM app_user WHERE pk = $1`, pk); err != nil {
		return User{}, err
	}
	return u, keepSuperuser(tx)
}

// setPassword stores the hash of a new password, and answers whose it is.
func setPassword(tx *sqldb.Tx, pk int64, hash string) (User, error) {
	u, err := lockUser(tx, pk)
	if err != nil {
		return User{}, err
	}
	return u, changeOne(tx, `UPDATE app_user SET password = $1, password_change_date = $2, last_updated = $2 WHERE pk = $3`,
		hash, tx.Now(), pk)
}

// setGroups makes the user a direct member of exactly these groups.
func setGroups(tx *sqldb.Tx, userPK int64, groups []string) error {
	have, err := sqldb.All(tx, scanOne[string], `SELECT group_pk FROM membership WHERE user_pk = $1`, userPK)
	if err != nil {
		return fmt.Errorf("reading the groups of a user: %w", err)
	}
	added, removed := difference(have, groups)
	for _, pk := range removed {
		if err := leave(tx, pk, userPK); err != nil {
			return err
		}
	}
	for _, pk := range added {
		if err := join(tx, pk, userPK); err != nil {
			return err
		}
	}
	return nil
}

// userUsedBy lists what refers to a user, as far as it belongs to this package.
func userUsedBy(tx *sqldb.Tx, pk int64) ([]drf.UsedBy, error) {
	u, err := GetUser(tx, pk)
	if err != nil {
		return nil, err
	}
	list := []drf.UsedBy{}
	for _, g := range u.GroupsObj {
		list = append(list, usedBy("group", g.PK, g.usedByName(), "cascade_many"))
	}
	tokens, err := sqldb.All(tx, scanToken, selectToken+` WHERE t.user_pk = $1 ORDER BY t.identifier, t.pk`, pk)
	for _, t := range tokens {
		list = append(list, usedBy("token", t.PK, t.usedByName(), "cascade"))
	}
	return list, err
}
