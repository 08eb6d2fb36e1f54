package identity

import (
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// read runs fn in a read, write in a write; both answer sql.ErrNoRows as 404.
func (a *API) read(r *http.Request, fn func(tx *sqldb.Tx) error) error {
	return known(a.DB.Read(r.Context(), fn))
}

func (a *API) write(r *http.Request, fn func(tx *sqldb.Tx) error) error {
	return known(a.DB.Write(r.Context(), fn))
}

func known(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return drf.NotFound()
	}
	return err
}

// included reads a parameter such as include_users: true unless it says something else, as authentik reads it.
func included(r *http.Request, name string) bool {
	value, ok := drf.Param(r, name)
	return !ok || strings.EqualFold(value, "true")
}

// withOthers adds what of other packages refers to an object.
func (a *API) withOthers(tx *sqldb.Tx, kind, pk string, own []drf.UsedBy) ([]drf.UsedBy, error) {
	if a.UsedBy == nil {
		return own, nil
	}
	others, err := a.UsedBy(tx, kind, pk)
	return append(own, others...), err
}

// sentence is an error's text as a client reads it.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}
