package identity

import (
	"fmt"
	"runtime"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

func TestExpressionsSeeAUserWithAllThatItsGroupsSay(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		top := s.group(`{"name":"top","attributes":{"site":"north","doors":[1],"door":{"a":1,"b":2}}}`)
		low := s.group(`{"name":"zoo","parent":"` + top + `","attributes":{"site":"south","doors":[2],"door":{"b":3}}}`)
		s.user("ann", low)
		s.user("bob")
		s.root().patch("/users/2/", `{"attributes":{"site":"east","n":12345678901234567890},"email":"ann@example.org"}`).is(200)
		s.read(func(tx *sqldb.Tx) error {
			users, err := ScriptUsers(tx, []int64{2, 3, 99})
			if err != nil || len(users) != 2 {
				t.Fatalf("%v, %v", users, err)
			}
			ann := users[2]
			if got := fmt.Sprintf("%s %s %v %v %v %s", ann.Username, ann.Email, ann.IsActive, ann.IsSuperuser, ann.Groups, ann.Attributes); got !=
				`ann ann@example.org true false [zoo] {"site":"east","n":12345678901234567890}` {
				t.Errorf("ann is %s", got)
			}
			if got := string(ann.GroupAttributes); got != `{"door":{"a":1,"b":3},"doors":[1,2],"n":12345678901234567890,"site":"east"}` {
				t.Errorf("of her groups: %s", got)
			}
			if got := string(users[3].GroupAttributes); got != "{}" {
				t.Errorf("of no groups: %s", got)
			}
			gone, err := ScriptUser(tx, 99)
			if gone != nil || err != nil {
				t.Errorf("nobody: %v, %v", gone, err)
			}
			return nil
		})
	})
}

func TestDirectoryOfManyUsersIsSmall(t *testing.T) {
	s := serve(t, sqldbtest.Open(t, sqldb.Options{}))
	const many = 20_000
	s.write(func(tx *sqldb.Tx) error {
		pks := make([]int64, many)
		for i := range pks {
			var err error
			name := fmt.Sprintf("user-%05d", i)
			if pks[i], err = Add(tx, name, "Somebody Whose Name Is "+name, name+"@example.org", 1, nil); err != nil {
				return err
			}
		}
		_, err := AddGroup(tx, "all", pks)
		return err
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var d *Directory
	s.read(func(tx *sqldb.Tx) (err error) { d, err = LoadDirectory(tx); return err })
	runtime.GC()
	runtime.ReadMemStats(&after)
	p, _ := d.Person(many)
	if p.Username == "" || !p.Active || len(d.Superusers()) != 1 {
		t.Errorf("%+v, superusers %v", p, d.Superusers())
	}
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d users take %d KiB", many, used>>10)
	if used > 16<<20 {
		t.Errorf("%d users take %d KiB", many, used>>10)
	}
	runtime.KeepAlive(d)
}
