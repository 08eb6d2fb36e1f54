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

// writeBeside is write for what no rule looks at and raises no generation. The record of the change asks for the
// generation in the end: it is held from the beginning, in the order in which changes of users lock it and their rows.
func (a *API) writeBeside(r *http.Request, fn func(tx *sqldb.Tx) error) error {
	return a.write(r, func(tx *sqldb.Tx) error {
		if _, err := HoldGeneration(tx); err != nil {
			return err
		}
		return fn(tx)
	})
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
