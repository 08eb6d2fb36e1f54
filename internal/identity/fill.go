package identity

import "belfry/internal/sqldb"

// Add stores a new user with the defaults of the API, a name, an address and times, who has no password and no token:
// nobody can sign in as them. It answers their key. It is for filling a database; nobody is asked, and the generation
// is the caller's to raise, as with [AddGroup].
func Add(tx *sqldb.Tx, username, name, email string, joined int64, lastLogin *int64) (pk int64, err error) {
	u := newUser(joined)
	u.Username, u.Name, u.Email, u.LastLogin = username, name, email, lastLogin
	err = insertUser(tx, &u)
	return u.PK, err
}

// AddGroup stores a new group of plain users and answers its key.
func AddGroup(tx *sqldb.Tx, name string, members []int64) (pk string, err error) {
	g := Group{PK: sqldb.NewID(), Name: name, Attributes: "{}"}
	if err := insertGroup(tx, &g); err != nil {
		return "", err
	}
	return g.PK, setMembers(tx, g.PK, members)
}
