package identity

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

func TestNamesAndPasswordsAreNotRememberedAsTheyAre(t *testing.T) {
	a, b := newPepper(), newPepper()
	known, again := a.credential("ann", "secret"), a.credential("ann", "secret")
	if known != again {
		t.Error("a password is not known again")
	}
	if b.credential("ann", "secret") == known {
		t.Error("two processes remember a password by the same hash")
	}
	for _, other := range [][2]string{{"anns", "ecret"}, {"", "annsecret"}, {"ann", "secret2"}, {"bob", "secret"}} {
		if a.credential(other[0], other[1]) == known {
			t.Errorf("%q is taken for another pair", other)
		}
	}
}

// TestAnUnknownNameTakesAsLongAsAnyOther occupies both places where passwords are hashed: whoever answers all the same
// has not hashed.
func TestAnUnknownNameTakesAsLongAsAnyOther(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		hash, err := s.api.Passwords.Hash(t.Context(), "a good password")
		if err != nil {
			t.Fatal(err)
		}
		s.user("known")
		s.user("disabled")
		s.user("without")
		s.exec(`UPDATE app_user SET password = $1 WHERE username IN ('known', 'disabled')`, hash)
		s.exec(`UPDATE app_user SET is_active = $1 WHERE username = 'disabled'`, false)
		for _, name := range []string{"known", "disabled", "without", "unknown"} {
			s.api.Passwords.slots <- struct{}{}
			s.api.Passwords.slots <- struct{}{}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			_, _, _, err := s.api.byPassword(ctx, name, "a good password")
			cancel()
			<-s.api.Passwords.slots
			<-s.api.Passwords.slots
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: answered %v without hashing", name, err)
			}
			_, _, ok, err := s.api.byPassword(t.Context(), name, "a good password")
			if err != nil || ok != (name == "known") {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
		}
	})
}

// TestNoSessionOfWhatHasChangedSinceItWasChecked changes what a sign-in was checked by between the check and the session.
func TestNoSessionOfWhatHasChangedSinceItWasChecked(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann") // 2
		key := s.token("ann", "2", `"inbox"`)
		s.exec(`UPDATE app_user SET password = 'as it was' WHERE pk = 2`)
		open := func(p proof) error {
			return s.db.Write(t.Context(), func(tx *sqldb.Tx) error {
				return openSession(tx, &Session{PK: sqldb.NewID(), UserPK: 2}, p, sqldb.NewID(), "")
			})
		}
		for _, c := range []struct {
			name    string
			proof   proof
			changed bool
		}{
			{"the same password", proof{password: "as it was"}, false},
			{"another password", proof{password: "as it was before"}, true},
			{"the same token", proof{token: HashKey(key)}, false},
			{"a token with another key", proof{token: HashKey(key + "x")}, true},
			{"somebody else's token", proof{token: HashKey(rootKey)}, true},
		} {
			if err := open(c.proof); errors.Is(err, errChanged) != c.changed || !c.changed && err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		s.exec(`UPDATE app_user SET is_active = $1 WHERE pk = 2`, false)
		if err := open(proof{password: "as it was"}); !errors.Is(err, errChanged) {
			t.Errorf("a user who was disabled: %v", err)
		}
	})
}

func TestASessionLastsTwelveHoursUnusedAndThirtyDaysUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := wall()
		s := Session{Created: now, LastUsed: now, Expires: now + sessionLife.Microseconds()}
		time.Sleep(sessionIdle - time.Millisecond)
		if s.end() <= wall() {
			t.Error("it ended before twelve hours")
		}
		time.Sleep(time.Millisecond)
		if s.end() > wall() {
			t.Error("it goes on unused")
		}
		for used := sessionIdle; used < sessionLife; used += 6 * time.Hour {
			s.LastUsed = wall()
			if s.end() <= wall() {
				t.Fatalf("in use it ended after %v", used)
			}
			time.Sleep(6 * time.Hour)
		}
		s.LastUsed = wall()
		if s.end() > wall() {
			t.Error("it goes on for more than thirty days")
		}
	})
}

func TestWhoCallsThroughProxies(t *testing.T) {
	for _, c := range []struct {
		name, trusted, peer string
		header              http.Header
		address, source     string
		secure              bool
	}{
		{"no proxy is trusted", "", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}}, "192.0.2.1", "192.0.2.1/32", false},
		{"another is trusted", "192.0.2.2", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}}, "192.0.2.1", "192.0.2.1/32", false},
		{"it is", "192.0.2.1", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}}, "6.6.6.6", "6.6.6.6/32", true},
		{"it says nothing", "192.0.2.1", "192.0.2.1:1", nil, "192.0.2.1", "192.0.2.1/32", false},
		{"the client made some up", "192.0.2.0/24", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"1.1.1.1, 6.6.6.6"}, "X-Forwarded-Proto": {"https, http"}}, "6.6.6.6", "6.6.6.6/32", false},
		{"in a header of its own", "192.0.2.0/24", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"1.1.1.1", "6.6.6.6"}}, "6.6.6.6", "6.6.6.6/32", false},
		{"two proxies", "192.0.2.0/24, ::1", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"1.1.1.1,6.6.6.6,  ::1"}, "X-Forwarded-Proto": {"http", "HTTPS"}}, "6.6.6.6", "6.6.6.6/32", true},
		{"proxies only", "192.0.2.0/24", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"192.0.2.3, 192.0.2.2"}}, "192.0.2.3", "192.0.2.3/32", false},
		{"no address", "192.0.2.0/24", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"6.6.6.6, unknown"}}, "192.0.2.1", "192.0.2.1/32", false},
		{"no address behind one", "192.0.2.0/24", "192.0.2.1:1", http.Header{"X-Forwarded-For": {"x, 192.0.2.2"}}, "192.0.2.2", "192.0.2.2/32", false},
		{"empty", "192.0.2.0/24", "192.0.2.1:1", http.Header{"X-Forwarded-For": {""}, "X-Forwarded-Proto": {""}}, "192.0.2.1", "192.0.2.1/32", false},
		{"with ports", "::1", "[::1]:1", http.Header{"X-Forwarded-For": {"6.6.6.6:1234"}}, "6.6.6.6", "6.6.6.6/32", false},
		{"in brackets", "::1", "[::1]:1", http.Header{"X-Forwarded-For": {"[2001:db8:1:2:3::4]"}}, "2001:db8:1:2:3::4", "2001:db8:1:2::/64", false},
		{"IPv4 in IPv6", "192.0.2.1", "[::ffff:192.0.2.1]:1", http.Header{"X-Forwarded-For": {"::ffff:6.6.6.6"}}, "6.6.6.6", "6.6.6.6/32", false},
		{"with a zone", "::/0", "[fe80::1%eth0]:1", http.Header{"X-Forwarded-For": {"fe80::2%eth1, 192.0.2.9"}}, "192.0.2.9", "192.0.2.9/32", false},
		{"a socket", "0.0.0.0/0,::/0", "@", http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Proto": {"https"}}, "", "invalid Prefix", false},
		{"other headers", "192.0.2.1", "192.0.2.1:1", http.Header{"Forwarded": {"for=6.6.6.6;proto=https"}, "X-Real-Ip": {"6.6.6.6"}, "True-Client-Ip": {"6.6.6.6"}}, "192.0.2.1", "192.0.2.1/32", false},
	} {
		proxies, err := ParseProxies(c.trusted)
		if err != nil {
			t.Fatal(err)
		}
		got := proxies.remote(&http.Request{RemoteAddr: c.peer, Header: c.header})
		if got.address != c.address || got.source.String() != c.source || got.secure != c.secure {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestProxiesAreAddressesAndNetworks(t *testing.T) {
	for list, want := range map[string]int{"": 0, " , ": 0, "10.0.0.0/8": 1, "10.1.2.3/8, ::1,192.0.2.1": 3, "fd00::/8": 1} {
		if got, err := ParseProxies(list); err != nil || len(got) != want {
			t.Errorf("%q: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"x", "10.0.0.0/33", "10.0.0", "::1%eth0", "fe80::%eth0/10", "::ffff:10.0.0.0/104", "10.0.0.0/8;::1", "localhost", "*"} {
		if got, err := ParseProxies(list); err == nil {
			t.Errorf("%q is taken as %v", list, got)
		}
	}
}

func TestAFaultOfTheStorageIsNoEndOfASession(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		if err := s.db.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "belfry=x")
		if _, err := s.api.Authenticate(r); !errors.Is(err, sqldb.ErrClosed) || errors.As(err, new(*drf.Error)) {
			t.Errorf("answered %v", err)
		}
	})
}
