package identity

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// TestCallersAreRememberedUntilTheirTablesAreWritten looks at the cache itself: that nothing stale is answered is
// TestCallerIsReadAnewForEveryRequest's.
func TestCallersAreRememberedUntilTheirTablesAreWritten(t *testing.T) {
	s := serve(t, sqldbtest.Open(t, sqldb.Options{}))
	shown := credential{hash: HashKey(rootKey)}
	ask := func() {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+rootKey)
		if _, err := s.api.Authenticate(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, known := s.api.callers.known(shown); known {
		t.Error("known before anybody asked")
	}
	ask()
	if caller, known := s.api.callers.known(shown); !known || caller.User.Username != "akadmin" {
		t.Errorf("not remembered: %+v", caller)
	}
	if _, known := s.api.callers.known(credential{session: true, hash: shown.hash}); known {
		t.Error("a token's key is good as a session's secret")
	}
	s.exec(`UPDATE event SET app = 'x'`)
	if _, known := s.api.callers.known(shown); !known {
		t.Error("forgotten for what does not concern it")
	}
	for _, table := range callerTables {
		ask()
		s.exec(`DELETE FROM ` + table + ` WHERE 1 = 0`)
		if _, known := s.api.callers.known(shown); known {
			t.Errorf("remembered although %s was written", table)
		}
	}
	before := s.api.callers.now()
	s.exec(`DELETE FROM token WHERE 1 = 0`)
	ask()
	s.api.callers.learn(before, shown, Caller{}, wall()+1e9) // read before the write, and late
	if caller, known := s.api.callers.known(shown); !known || caller.User.Username != "akadmin" {
		t.Errorf("an older reading took the place of a newer one: %+v", caller)
	}
	for i := range maxCallers {
		s.api.callers.learn(s.api.callers.now(), credential{hash: fmt.Sprint(i)}, Caller{}, wall()+1e9)
	}
	if n := len(s.api.callers.all); n > maxCallers {
		t.Errorf("%d callers are remembered", n)
	}
}
