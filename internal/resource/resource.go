// Package resource answers the usual requests for one kind of objects: the page of a list, one object, its making,
// its change, its end, and what refers to it. What the kinds differ in is a [Noun].
package resource

import (
	"errors"
	"fmt"
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// Noun is what the handlers of one kind of objects M, which requests change by P, differ in from those of others.
// A kind that is not made and changed by these handlers leaves empty what only they need.
type Noun[M, P any] struct {
	DB *sqldb.DB
	// Trail records every change, in its transaction.
	Trail trail.Func
	// Changed follows every change in its transaction, before the trail of it.
	Changed func(tx *sqldb.Tx) error

	Table      string // the objects', by the column pk
	Path       string // the route's variable that holds the pk
	Serializer *drf.Serializer[M, P]
	Kind       *trail.Kind[M, P]
	Spec       *drf.ListSpec
	List       func(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[M], error)
	// Get reads one object; lock is "" or the clause for a row that is going to be changed. It answers 404 for none.
	Get func(tx *sqldb.Tx, pk, lock string) (M, error)
	// Fill reads what answers and the trail show besides; nil for nothing.
	Fill func(tx *sqldb.Tx, rows []M) error
	// Fresh is a new object with its pk and its defaults.
	Fresh func() M
	// Apply checks what a request asks for, in itself and against what is stored, and applies it.
	Apply          func(tx *sqldb.Tx, in drf.Input[P], m *M) error
	Insert, Update func(tx *sqldb.Tx, m *M) error
	// Taken is the error for what another object has already.
	Taken  func() error
	UsedBy func(tx *sqldb.Tx, pk string) ([]drf.UsedBy, error)
	// Updated and Deleted do what follows from a change and from an end, in their transactions; nil for nothing. An
	// object that is going to be deleted is still there.
	Updated func(tx *sqldb.Tx, before, after *M) error
	Deleted func(tx *sqldb.Tx, m *M) error
}

// AnswerList answers 200 with the page that the query asks for.
func (n *Noun[M, P]) AnswerList(w http.ResponseWriter, r *http.Request) error {
	q, err := n.Spec.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[M]
	err = n.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if page, err = n.List(tx, q); err != nil {
			return err
		}
		return n.fill(tx, page.Rows)
	})
	if err != nil {
		return err
	}
	return n.Serializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// AnswerCreate answers 201 with the new object.
func (n *Noun[M, P]) AnswerCreate(w http.ResponseWriter, r *http.Request) error {
	in := n.Serializer.Read(w, r, drf.Create)
	var m M
	err := n.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		m = n.Fresh()
		if err := n.save(tx, in, &m, n.Insert); err != nil {
			return err
		}
		return n.record(tx, r, n.Kind.Created(&m))
	})
	if err != nil {
		return err
	}
	return n.Serializer.Write(w, r, http.StatusCreated, &m)
}

// AnswerGet answers 200 with one object.
func (n *Noun[M, P]) AnswerGet(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.Path)
	if err != nil {
		return err
	}
	var m M
	err = n.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		m, err = n.read(tx, pk, "")
		return err
	})
	if err != nil {
		return err
	}
	return n.Serializer.Write(w, r, http.StatusOK, &m)
}

// AnswerUpdate answers PUT and PATCH with 200 and the object as it is then. Both keep what the
// request leaves out; PUT asks for the required fields.
func (n *Noun[M, P]) AnswerUpdate(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.Path)
	if err != nil {
		return err
	}
	in := n.Serializer.Read(w, r, drf.ModeOf(r))
	var m M
	err = n.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		before, err := n.read(tx, pk, tx.ForUpdate())
		if err != nil {
			return err
		}
		m = before
		if err := n.save(tx, in, &m, n.Update); err != nil {
			return err
		}
		if n.Updated != nil {
			if err := n.Updated(tx, &before, &m); err != nil {
				return err
			}
		}
		return n.record(tx, r, n.Kind.Updated(&before, &m))
	})
	if err != nil {
		return err
	}
	return n.Serializer.Write(w, r, http.StatusOK, &m)
}

// AnswerDelete answers 204. What refers to the object goes with it or is set to null, as the schema says.
func (n *Noun[M, P]) AnswerDelete(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.Path)
	if err != nil {
		return err
	}
	err = n.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		m, err := n.read(tx, pk, tx.ForUpdate())
		if err != nil {
			return err
		}
		if n.Deleted != nil {
			if err := n.Deleted(tx, &m); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`DELETE FROM `+n.Table+` WHERE pk = $1`, pk); err != nil {
			return fmt.Errorf("delete %s: %w", n.Table, err)
		}
		return n.record(tx, r, n.Kind.Deleted(&m))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// AnswerUsedBy answers 200 with what refers to an object.
func (n *Noun[M, P]) AnswerUsedBy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.Path)
	if err != nil {
		return err
	}
	var list []drf.UsedBy
	err = n.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if _, err = n.Get(tx, pk, ""); err != nil {
			return err
		}
		list, err = n.UsedBy(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, list)
}

// save applies a request to m, stores it and reads what the answer shows.
func (n *Noun[M, P]) save(tx *sqldb.Tx, in drf.Input[P], m *M, store func(*sqldb.Tx, *M) error) error {
	if err := n.Apply(tx, in, m); err != nil {
		return err
	}
	if err := store(tx, m); err != nil {
		// What Apply did not look for, or, on PostgreSQL, what another write has taken since it looked.
		if _, ok := errors.AsType[*sqldb.UniqueError](err); ok {
			return n.Taken()
		}
		return err
	}
	return n.fillOne(tx, m)
}

// record ends a change: what was prepared before it holds no more, and the trail goes by what is now.
func (n *Noun[M, P]) record(tx *sqldb.Tx, r *http.Request, c trail.Change) error {
	if err := n.Changed(tx); err != nil {
		return err
	}
	return n.Trail.Record(tx, r, c)
}

// read reads an object with what answers and the trail show besides.
func (n *Noun[M, P]) read(tx *sqldb.Tx, pk, lock string) (M, error) {
	m, err := n.Get(tx, pk, lock)
	if err != nil {
		return m, err
	}
	return m, n.fillOne(tx, &m)
}

func (n *Noun[M, P]) fillOne(tx *sqldb.Tx, m *M) error {
	rows := []M{*m}
	err := n.fill(tx, rows)
	*m = rows[0]
	return err
}

func (n *Noun[M, P]) fill(tx *sqldb.Tx, rows []M) error {
	if n.Fill == nil {
		return nil
	}
	return n.Fill(tx, rows)
}
