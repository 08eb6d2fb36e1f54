package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"time"
)

// minKeyLength is the least number of characters of a key that somebody chose.
const minKeyLength = 32

var keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewKey is a new token key: blf_ and 39 characters of lower-case base32, which hold 160 random bits
// and their CRC-32. Secret scanners know a key by its prefix and checksum; Belfry never verifies them.
func NewKey() string {
	var raw [24]byte
	rand.Read(raw[:20]) // never fails, as its documentation says
	binary.BigEndian.PutUint32(raw[20:], crc32.ChecksumIEEE(raw[:20]))
	return "blf_" + keyEncoding.EncodeToString(raw[:])
}

// HashKey is the form in which a key is stored: its SHA-256 in hexadecimal. A fast hash is enough
// because keys are long and random.
func HashKey(key string) string {
	var room [128]byte // most keys fit, and nothing else is allocated for each request but the answer
	sum := sha256.Sum256(append(room[:0], key...))
	return string(hex.AppendEncode(room[:0], sum[:]))
}

// CheckBootstrapKey says what is wrong with a key that somebody chose, without quoting it: it needs 32 or
// more printable ASCII characters, and no space at either end, where an HTTP header would lose it.
func CheckBootstrapKey(key string) error {
	if len(key) < minKeyLength {
		return errors.New("a token key needs 32 or more characters")
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return errors.New("a token key may hold printable ASCII characters only")
		}
	}
	if strings.TrimSpace(key) != key {
		return errors.New("a token key may not begin or end with a space")
	}
	return nil
}

// wall is the time that tokens expire by: the clock's, and not a transaction's, which may be ahead of it.
func wall() int64 { return time.Now().UnixMicro() }
