package identity

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"
)

func TestPasswordIsHashedWithASaltAndVerified(t *testing.T) {
	p, ctx := NewPasswords(), t.Context()
	first, err := p.Hash(ctx, "pässword 1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Hash(ctx, "pässword 1")
	if err != nil || first == second {
		t.Errorf("hashed twice to %s, %v", second, err)
	}
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(first) {
		t.Errorf("stored as %s", first)
	}
	for _, c := range []struct {
		stored, password string
		want             bool
	}{
		{first, "pässword 1", true},
		{second, "pässword 1", true},
		{first, "pässword 2", false},
		{first, "", false},
		{"", "pässword 1", false},
		{"", "", false},
		// Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24
		{"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password", true},
	} {
		if ok, err := p.Verify(ctx, c.stored, c.password); ok != c.want || err != nil {
			t.Errorf("Verify(%q, %q) = %v, %v", c.stored, c.password, ok, err)
		}
	}
	for _, stored := range []string{"x", "$argon2i$v=19$m=1,t=1,p=1$YQ$YQ", "$argon2id$v=18$m=1,t=1,p=1$YQ$YQ",
		"$argon2id$v=19$m=x$YQ$YQ", "$argon2id$v=19$m=1,t=0,p=1$YQ$YQ", "$argon2id$v=19$m=1,t=1,p=1$!$YQ", "$argon2id$v=19$m=1,t=1,p=1$YQ$"} {
		if ok, err := p.Verify(ctx, stored, "x"); ok || !errors.Is(err, errNotPHC) {
			t.Errorf("Verify of %q = %v, %v", stored, ok, err)
		}
	}
}

func TestAtMostTwoPasswordsAreHashedAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPasswords()
		p.slots <- struct{}{}
		if _, err := p.Hash(t.Context(), "one of two"); err != nil {
			t.Fatal(err)
		}
		p.slots <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Hash(ctx, "third"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third hash ended with %v", err)
		}
		if _, err := p.Verify(ctx, "", "third"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third verification ended with %v", err)
		}
	})
}
