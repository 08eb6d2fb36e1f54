package identity

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

func TestBadCredentialsAre403InAuthentiksWords(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		const absent, scheme, invalid = "Authentication credentials were not provided.", "Unsupported authentication type", "Token invalid/expired"
		for header, want := range map[string]string{
			"-":                              absent,
			"":                               absent,
			"Bearer":                         absent,
			"Bearer ":                        absent,
			"Bearer   ":                      absent,
			rootKey:                          absent,
			"Basic YTpi":                     scheme,
			"Token " + rootKey:               scheme,
			"Bearer wrong":                   invalid,
			"Bearer  " + rootKey:             invalid,
			"Bearer " + rootKey + " x":       invalid,
			"Bearer " + HashKey(rootKey):     invalid,
			"Bearer " + rootKey:              "",
			"bEARER " + rootKey:              "",
			"Bearer " + rootKey + "  ":       "",
			"Bearer \xff\x00" + "' OR 1=1--": invalid,
		} {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", header)
			if header == "-" {
				r.Header.Del("Authorization")
			}
			caller, err := s.api.Authenticate(r)
			if want == "" {
				if err != nil || caller.User.Username != "akadmin" {
					t.Errorf("%q: %v, %v", header, caller, err)
				}
				continue
			}
			answer := httptest.NewRecorder()
			drf.Fail(answer, r, s.api.Log, err)
			if got := fmt.Sprintf(`{"detail":"%s"}`, want); answer.Code != 403 || answer.Body.String() != got {
				t.Errorf("%q: %d %s, want %s", header, answer.Code, answer.Body, got)
			}
			if answer.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%q: a challenge was sent", header)
			}
		}
	})
}

func TestCallerIsReadAnewForEveryRequest(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		low := s.group(`{"name":"low","parent":"` + s.group(`{"name":"middle","parent":"`+s.admins+`"}`) + `"}`)
		s.user("ann", low)
		key := s.token("ann", "2", `"read","inbox"`)
		pk := s.root().get("/tokens/ann/").text("pk")
		caller := func(remote string) (Caller, error) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+key)
			r.RemoteAddr = remote
			return s.api.Authenticate(r)
		}
		got, err := caller("[2001:db8::1%eth0]:99")
		if err != nil {
			t.Fatal(err)
		}
		if got.User.PK != 2 || got.User.Username != "ann" || !got.Superuser || got.Scopes != ScopeRead|ScopeInbox ||
			got.TokenPK != pk || got.Source != "2001:db8::1" || got.Host {
			t.Errorf("caller %+v", got)
		}
		for _, change := range []struct {
			name, undo, do string
			refused        bool
		}{
			{"no superuser any more", `UPDATE user_group SET is_superuser = $1 WHERE num_pk = 1`, "false", false},
			{"user is not active", `UPDATE app_user SET is_active = $1 WHERE pk = 2`, "false", true},
			{"token has expired", `UPDATE token SET expires = CASE WHEN $1 THEN 33000000000000000 ELSE 1 END WHERE identifier = 'ann'`, "false", true},
		} {
			s.exec(change.undo, false)
			got, err := caller("@")
			if change.refused != (err != nil) || err == nil && (got.Superuser || got.Source != "") {
				t.Errorf("%s: %+v, %v", change.name, got, err)
			}
			s.exec(change.undo, true)
		}
		s.exec(`UPDATE token SET expires = 1, expiring = $1`, false)
		if _, err := caller("@"); err != nil {
			t.Errorf("a token that does not expire: %v", err)
		}
		for _, intent := range []string{"verification", "recovery", "app_password"} {
			s.exec(`UPDATE token SET intent = $1 WHERE identifier = 'ann'`, intent)
			if _, err := caller("@"); err == nil {
				t.Errorf("a token with the intent %s is a bearer", intent)
			}
		}
	})
}

func TestGuessingIsLimitedAndLocksNobodyOut(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		s.user("ann")
		ann := s.token("ann", "2", `"inbox"`)
		s.as(ann).get("/users/me/").is(200)
		for i := range guessBurst {
			s.as(fmt.Sprintf("guess-%d", i)).get("/users/me/").says(403, `{"detail":"Token invalid/expired"}`)
		}
		a := s.as("guess").get("/users/me/").is(429).has(`{"detail":"Request was throttled. Expected available in `)
		if a.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		s.as(ann).get("/users/me/").is(200)
		s.root().get("/users/me/").is(429) // a good one that was not used from here before waits, too
		s.as("").get("/users/me/").is(403) // no credentials are no guess

		s.host().delete("/tokens/ann/").is(204)
		s.as(ann).get("/users/me/").is(403) // it is looked up, though it was good
		s.as(ann).get("/users/me/").is(429) // and is trusted no more
	})
}

var from = netip.MustParsePrefix("192.0.2.1/32")

// guess settles one attempt, and reports whether it was let through.
func guess(t *testing.T, l *limiter, source netip.Prefix, hash string, o outcome) bool {
	t.Helper()
	a, err := l.begin(context.Background(), source, hash)
	if err != nil {
		var refusal *drf.Error
		if !errors.As(err, &refusal) || refusal.Status != http.StatusTooManyRequests {
			t.Fatal(err)
		}
		return false
	}
	a.settle(o)
	return true
}

// exhaust uses up all failures that a source has.
func exhaust(t *testing.T, l *limiter, source netip.Prefix) (passed int) {
	t.Helper()
	for i := range 10 * guessBurst {
		if guess(t, l, source, fmt.Sprint("guess", i), refused) {
			passed++
		}
	}
	return passed
}

func TestLimiterRefillsOneGuessEveryThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		if n := exhaust(t, l, from); n != guessBurst {
			t.Errorf("%d guesses passed at once", n)
		}
		time.Sleep(guessInterval - time.Millisecond)
		if guess(t, l, from, "early", refused) {
			t.Error("a guess passed too early")
		}
		time.Sleep(time.Millisecond)
		if n := exhaust(t, l, from); n != 1 {
			t.Errorf("%d guesses passed after three seconds", n)
		}
		time.Sleep(time.Hour)
		if n := exhaust(t, l, from); n != guessBurst {
			t.Errorf("%d guesses passed after an hour", n)
		}
		if n := exhaust(t, l, netip.MustParsePrefix("192.0.2.2/32")); n != guessBurst {
			t.Errorf("%d guesses of another source passed", n)
		}
	})
}

func TestLimiterCountsNeitherSuccessNorFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		for i := range 1000 {
			if !guess(t, l, from, fmt.Sprint(i), succeeded) || !guess(t, l, from, "x", undecided) {
				t.Fatal("a source was limited that did not guess")
			}
		}
	})
}

func TestLimiterTrustsACredentialForAnHourAfterItsLastSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		guess(t, l, from, "good", succeeded)
		for range 3 {
			time.Sleep(trustFor)
			exhaust(t, l, from)
			if !guess(t, l, from, "good", succeeded) {
				t.Fatal("a trusted credential was refused")
			}
		}
		time.Sleep(trustFor + time.Millisecond)
		exhaust(t, l, from)
		if guess(t, l, from, "good", succeeded) {
			t.Error("a credential was trusted for more than an hour")
		}
	})
}

func TestLimiterCountsGuessesInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		release := make(chan struct{})
		var wg sync.WaitGroup
		var mu sync.Mutex
		begun, throttled, inFlight := 0, 0, ""
		for i := range 10 * guessBurst {
			wg.Go(func() {
				a, err := l.begin(context.Background(), from, fmt.Sprint("guess", i))
				mu.Lock()
				if err != nil {
					throttled++
				} else {
					begun++
					inFlight = a.hash
				}
				mu.Unlock()
				if err == nil {
					<-release
					a.settle(refused)
				}
			})
		}
		synctest.Wait()
		if begun != guessBurst {
			t.Errorf("%d look-ups in flight", begun)
		}
		// The same credential again is no further guess, and one that gives up waiting says so.
		if a, err := l.begin(context.Background(), from, inFlight); err != nil {
			t.Error(err)
		} else {
			a.settle(undecided)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if _, err := l.begin(ctx, from, "impatient"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting ended with %v", err)
		}
		close(release)
		wg.Wait()
		if begun != guessBurst || throttled != 9*guessBurst {
			t.Errorf("%d guesses passed, %d were refused", begun, throttled)
		}
	})
}

func TestLimiterLetsManyGoodCredentialsInAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		var wg sync.WaitGroup
		for i := range 10 * guessBurst {
			wg.Go(func() {
				a, err := l.begin(context.Background(), from, fmt.Sprint("good", i))
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
				a.settle(succeeded)
			})
		}
		wg.Wait()
	})
}

func TestLimiterForgetsTheOldestSourceAndCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter()
		first := netip.PrefixFrom(netip.AddrFrom4([4]byte{1, 0, 0, 0}), 32)
		guess(t, l, first, "good", succeeded)
		for i := range maxTrusted {
			time.Sleep(time.Second)
			guess(t, l, first, fmt.Sprint("newer", i), succeeded)
		}
		exhaust(t, l, first)
		if guess(t, l, first, "good", succeeded) {
			t.Error("the oldest of too many credentials is still trusted")
		}
		if !guess(t, l, first, "newer0", succeeded) {
			t.Error("a newer credential was forgotten")
		}
		others := func(first byte, n int) {
			for i := range n {
				guess(t, l, netip.PrefixFrom(netip.AddrFrom4([4]byte{first, byte(i >> 16), byte(i >> 8), byte(i)}), 32), "x", refused)
			}
		}
		others(2, maxSources-1)
		if guess(t, l, first, "another", refused) {
			t.Error("a source was forgotten before there were too many")
		}
		others(3, maxSources-1)
		if guess(t, l, first, "another", refused) {
			t.Error("a source that was used since was forgotten before older ones")
		}
		others(4, maxSources)
		if len(l.sources) != maxSources || l.recent.Len() != maxSources {
			t.Errorf("%d sources are remembered", len(l.sources))
		}
		if !guess(t, l, first, "another", refused) {
			t.Error("the oldest source was not forgotten")
		}
	})
}

func TestSourceIsAnAddressOrA64(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:1234":          "192.0.2.7 192.0.2.7/32",
		"[::ffff:192.0.2.7]:1234": "192.0.2.7 192.0.2.7/32",
		"[2001:db8:1:2:3::4]:1":   "2001:db8:1:2:3::4 2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":        "fe80::1 fe80::/64",
		"@":                       " invalid Prefix",
		"":                        " invalid Prefix",
	} {
		from := Proxies(nil).remote(&http.Request{RemoteAddr: peer})
		if got := from.address + " " + from.source.String(); got != want {
			t.Errorf("%q is %q, want %q", peer, got, want)
		}
	}
}

func TestAFaultOfTheStorageIsNoBadToken(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		if err := s.db.Close(); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+rootKey)
		for range 2 * guessBurst {
			if _, err := s.api.Authenticate(r); !errors.Is(err, sqldb.ErrClosed) {
				t.Fatalf("answered %v", err)
			}
		}
	})
}

func TestKeysAreLongRandomAndCheckable(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		key := NewKey()
		raw, err := keyEncoding.DecodeString(strings.TrimPrefix(key, "blf_"))
		if err != nil || len(key) != 43 || len(raw) != 24 || !strings.HasPrefix(key, "blf_") || seen[key] {
			t.Fatalf("key %q: %v", key, err)
		}
		if sum := crc32.ChecksumIEEE(raw[:20]); fmt.Sprintf("%08x", sum) != fmt.Sprintf("%x", raw[20:]) {
			t.Fatalf("key %q has a wrong checksum", key)
		}
		if err := CheckBootstrapKey(key); err != nil {
			t.Fatal(err)
		}
		seen[key] = true
	}
	if got := HashKey("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error(got)
	}
}

func TestBootstrapKeyIsChecked(t *testing.T) {
	ok := strings.Repeat("k", 32)
	for key, good := range map[string]bool{
		ok: true, ok[1:] + "~": true, ok + "with a space": true, strings.Repeat("k", 500): true,
		"": false, ok[1:]: false, ok[1:] + "\n": false, ok + "\x7f": false, strings.Repeat("ä", 16): false, ok + " ": false, " " + ok: false,
	} {
		err := CheckBootstrapKey(key)
		if good != (err == nil) {
			t.Errorf("%q: %v", key, err)
		}
		if err != nil && key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}
