package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The parameters of argon2id are the second choice of OWASP's list: 19 MiB, 2 passes, 1 lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	saltLength  = 16
	hashLength  = 32
)

// minPasswordLength is the least number of characters of a password.
const minPasswordLength = 10

// Passwords hashes and verifies passwords, two at a time, because each takes 19 MiB and a core.
type Passwords struct{ slots chan struct{} }

// NewPasswords makes a Passwords; a process has one.
func NewPasswords() *Passwords { return &Passwords{slots: make(chan struct{}, 2)} }

// Hash is the password's argon2id hash in PHC form, with a new salt. It waits for its turn until ctx ends.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	var salt [saltLength]byte
	rand.Read(salt[:]) // never fails, as its documentation says
	sum, err := p.derive(ctx, password, parameters{argonMemory, argonPasses, argonLanes, salt[:], make([]byte, hashLength)})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonPasses, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt[:]), base64.RawStdEncoding.EncodeToString(sum)), nil
}

// Verify reports whether the password is the one that stored was made of. "", the stored form of no password,
// and of a user that does not exist, is never matched and takes as long as any other, so that the time does not
// tell them apart. It waits for its turn until ctx ends.
func (p *Passwords) Verify(ctx context.Context, stored, password string) (bool, error) {
	want := parameters{argonMemory, argonPasses, argonLanes, make([]byte, saltLength), make([]byte, hashLength)}
	if stored != "" {
		var err error
		if want, err = parsePHC(stored); err != nil {
			return false, err
		}
	}
	sum, err := p.derive(ctx, password, want)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, want.sum) == 1 && stored != "", nil
}

func (p *Passwords) derive(ctx context.Context, password string, with parameters) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to hash a password: %w", ctx.Err())
	}
	return argon2.IDKey([]byte(password), with.salt, with.passes, with.memory, with.lanes, uint32(len(with.sum))), nil
}

// parameters are the parts of a PHC string.
type parameters struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

var errNotPHC = errors.New("identity: the stored password is not an argon2id hash")

func parsePHC(stored string) (parameters, error) {
	var p parameters
	var version int
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return p, errNotPHC
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return p, errNotPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); err != nil {
		return p, errNotPHC
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, errNotPHC
	}
	if p.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(p.sum) == 0 || p.passes == 0 || p.lanes == 0 {
		return p, errNotPHC
	}
	return p, nil
}
