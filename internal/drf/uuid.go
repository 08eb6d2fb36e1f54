package drf

import (
	"encoding/hex"
	"math/big"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/gorilla/mux"
)

// ParseUUID reads a uuid in any form Python's UUID takes (no dashes, braces, upper case, urn:uuid:) and answers it in canonical text.
func ParseUUID(value string) (string, bool) {
	switch {
	case isCanonical(value): // as nearly everybody writes it
		return value, true
	case len(value) > 128:
		return "", false
	}
	value = strings.ReplaceAll(strings.ReplaceAll(value, "urn:", ""), "uuid:", "")
	value = strings.ReplaceAll(strings.Trim(value, "{}"), "-", "")
	var id uuid.UUID
	if len(value) != 2*len(id) {
		return "", false
	}
	if _, err := hex.Decode(id[:], []byte(value)); err != nil {
		return "", false
	}
	return id.String(), true
}

// isCanonical reports whether a uuid is written in lower case with its dashes.
func isCanonical(value string) bool {
	if len(value) != 36 {
		return false
	}
	for i := range len(value) {
		c := value[i]
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash && c != '-', !dash && (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// msgUUID says that what the client sent for a uuid is none.
func msgUUID(sent string) string { return "“" + sent + "” is not a valid UUID." }

// fitsUUID reports whether an integer is one that Python's UUID(int=…) takes.
func fitsUUID(n *big.Int) bool { return n.Sign() >= 0 && n.BitLen() <= 128 }

// PathUUID reads a uuid of the path (gorilla/mux variable name) in any form Python's UUID takes; malformed is 404.
func PathUUID(r *http.Request, name string) (string, error) {
	id, ok := ParseUUID(mux.Vars(r)[name])
	if !ok {
		return "", NotFound()
	}
	return id, nil
}

// PathInt reads a non-negative integer of the path (route variable name); anything else is 404.
func PathInt(r *http.Request, name string) (int64, error) {
	n, err := strconv.ParseUint(mux.Vars(r)[name], 10, 63)
	if err != nil {
		return 0, NotFound()
	}
	return int64(n), nil
}

// PathText reads a text of the path (route variable name).
func PathText(r *http.Request, name string) string { return mux.Vars(r)[name] }

// UUID is a read-only uuid, such as a pk.
func UUID[M, P any](name string, get func(*M) string, opts ...Option) Def[M, P] {
	return define[M, P](&Info{Name: name, Type: "string", Format: "uuid"}, opts, get, AppendString, nil, parseText)
}

// GivenUUID is a uuid that a body may bring, in any form that Python's UUID takes.
func GivenUUID[M, P any](name string, get func(*M) string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "uuid"}, opts, get, AppendString, in, parseUUID)
}

// NullUUIDs is a read-only list of uuids and nulls.
func NullUUIDs[M, P any](name string, get func(*M) []uuid.NullUUID, opts ...Option) Def[M, P] {
	info := &Info{Name: name, Type: "array", Items: &Info{Type: "string", Format: "uuid", Nullable: true}}
	return Def[M, P]{Info: declare(info, opts, true, false),
		write: func(dst []byte, m *M) []byte { return appendEach(dst, get(m), appendNullUUID) }}
}

func appendNullUUID(dst []byte, id uuid.NullUUID) []byte {
	if !id.Valid {
		return append(dst, "null"...)
	}
	return append(append(append(dst, '"'), id.UUID.String()...), '"')
}
