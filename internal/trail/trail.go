// Package trail says what a request did to an object, in the terms of the audit log: which object, what was done,
// which fields changed. Whoever changes objects tells a [Func], which writes the record; how is not known here.
package trail

import (
	"net/http"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// Change is what a request did to one object.
type Change struct {
	Action     string   // model_created, model_updated or model_deleted
	App, Model string   // as Django names them: authentik_core, user
	PK         drf.JSON // see [IntPK] and [HexPK]
	Name       string   // as people know the object; never a secret
	Diff       []drf.FieldChange
}

// Func writes the record of a change into the transaction that makes it: where it fails, so does the change. The generation
// is raised before it: the record runs through the rules as the transaction leaves them.
type Func func(tx *sqldb.Tx, r *http.Request, c Change) error

// Record writes the record of a change, and nothing for one that changed no value.
func (f Func) Record(tx *sqldb.Tx, r *http.Request, c Change) error {
	if c.Action == Updated && len(c.Diff) == 0 {
		return nil
	}
	return f(tx, r, c)
}

const (
	created = "model_created"
	// Updated is the action of a change that is no making and no end.
	Updated = "model_updated"
	deleted = "model_deleted"
)

// IntPK is an integer key as records show it: a number.
func IntPK(pk int64) drf.JSON { return drf.JSON(strconv.FormatInt(pk, 10)) }

// HexPK is a uuid as records show it: a string of 32 hexadecimal digits, without dashes.
func HexPK(uuid string) drf.JSON {
	return drf.JSON(drf.AppendString(nil, strings.ReplaceAll(uuid, "-", "")))
}

// Kind is how objects of one kind stand in the trail.
type Kind[M, P any] struct {
	App, Model string
	Serializer *drf.Serializer[M, P] // what it can be told to change is what a diff compares
	PK         func(m *M) drf.JSON
	Name       func(m *M) string
}

// Object is an object alone, to which nothing was done.
func (k *Kind[M, P]) Object(m *M) Change { return k.change("", m, nil) }

// Created is the making of an object.
func (k *Kind[M, P]) Created(m *M) Change {
	return k.change(created, m, k.Serializer.Diff(nil, m))
}

// Updated is the change from one state of an object to another; its diff is empty when no value changed. An object is known by the name that it had.
func (k *Kind[M, P]) Updated(before, after *M) Change {
	return k.change(Updated, before, k.Serializer.Diff(before, after))
}

// Replaced is the change of a secret that is not part of any state, such as a password.
func (k *Kind[M, P]) Replaced(m *M, secret string) Change {
	return k.change(Updated, m, []drf.FieldChange{{Name: secret, Previous: drf.StarsJSON, Next: drf.StarsJSON}})
}

// Deleted is the end of an object. What went with it is not listed.
func (k *Kind[M, P]) Deleted(m *M) Change { return k.change(deleted, m, nil) }

func (k *Kind[M, P]) change(action string, m *M, diff []drf.FieldChange) Change {
	return Change{Action: action, App: k.App, Model: k.Model, PK: k.PK(m), Name: k.Name(m), Diff: diff}
}
