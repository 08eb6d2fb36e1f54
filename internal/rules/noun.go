package rules

import (
	"errors"
	"fmt"
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// noun is what the handlers of rules, policies and bindings differ in. Everything
// that changes one of them raises the generation and leaves a trail in the same write.
type noun[M, P any] struct {
	name       string // of its table
	path       string // the route's variable that holds the pk
	serializer *drf.Serializer[M, P]
	trail      *trail.Kind[M, P]
	spec       *drf.ListSpec
	list       func(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[M], error)
	get        func(tx *sqldb.Tx, pk, lock string) (M, error)
	fill       func(tx *sqldb.Tx, rows []M) error // reads what answers show besides
	fresh      func() M
	// apply checks what a request asks for, in itself and against what is stored, and applies it.
	apply          func(a *API, tx *sqldb.Tx, in drf.Input[P], m *M) error
	insert, update func(tx *sqldb.Tx, m *M) error
	// taken is the error for what another object has already.
	taken  func() error
	usedBy func(tx *sqldb.Tx, pk string) ([]drf.UsedBy, error)
}

// answerList answers 200 with the page that the query asks for.
func (n *noun[M, P]) answerList(a *API, w http.ResponseWriter, r *http.Request) error {
	q, err := n.spec.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[M]
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if page, err = n.list(tx, q); err != nil {
			return err
		}
		return n.fill(tx, page.Rows)
	})
	if err != nil {
		return err
	}
	return n.serializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// answerCreate answers 201 with the new object.
func (n *noun[M, P]) answerCreate(a *API, w http.ResponseWriter, r *http.Request) error {
	in := n.serializer.Read(w, r, drf.Create)
	var m M
	err := a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		m = n.fresh()
		if err := n.save(a, tx, in, &m, n.insert); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, n.trail.Created(&m))
	})
	if err != nil {
		return err
	}
	return n.serializer.Write(w, r, http.StatusCreated, &m)
}

// answerGet answers 200 with one object.
func (n *noun[M, P]) answerGet(a *API, w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.path)
	if err != nil {
		return err
	}
	var m M
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if m, err = n.get(tx, pk, ""); err != nil {
			return err
		}
		return n.fillOne(tx, &m)
	})
	if err != nil {
		return err
	}
	return n.serializer.Write(w, r, http.StatusOK, &m)
}

// answerUpdate answers PUT and PATCH with 200 and the object as it is then. Both keep what the
// request leaves out; PUT asks for the required fields.
func (n *noun[M, P]) answerUpdate(a *API, w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.path)
	if err != nil {
		return err
	}
	in := n.serializer.Read(w, r, drf.ModeOf(r))
	var m M
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		before, err := n.lock(tx, pk)
		if err != nil {
			return err
		}
		m = before
		if err := n.save(a, tx, in, &m, n.update); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, n.trail.Updated(&before, &m))
	})
	if err != nil {
		return err
	}
	return n.serializer.Write(w, r, http.StatusOK, &m)
}

// answerDelete answers 204. What refers to the object goes with it or is set to null, as the schema says.
func (n *noun[M, P]) answerDelete(a *API, w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.path)
	if err != nil {
		return err
	}
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		m, err := n.lock(tx, pk)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(`DELETE FROM `+n.name+` WHERE pk = $1`, pk); err != nil {
			return fmt.Errorf("delete %s: %w", n.name, err)
		}
		if err := identity.BumpGeneration(tx); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, n.trail.Deleted(&m))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// answerUsedBy answers 200 with what refers to an object.
func (n *noun[M, P]) answerUsedBy(a *API, w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, n.path)
	if err != nil {
		return err
	}
	var list []drf.UsedBy
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if _, err = n.get(tx, pk, ""); err != nil {
			return err
		}
		list, err = n.usedBy(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, list)
}

// save applies a request to m, stores it and reads what the answer shows.
func (n *noun[M, P]) save(a *API, tx *sqldb.Tx, in drf.Input[P], m *M, store func(*sqldb.Tx, *M) error) error {
	if err := n.apply(a, tx, in, m); err != nil {
		return err
	}
	if err := store(tx, m); err != nil {
		// What apply did not look for, or, on PostgreSQL, what another write has taken since it looked.
		if _, ok := errors.AsType[*sqldb.UniqueError](err); ok {
			return n.taken()
		}
		return err
	}
	if err := identity.BumpGeneration(tx); err != nil {
		return err
	}
	return n.fillOne(tx, m)
}

// lock reads an object that is going to be changed, with what answers and the trail show besides.
func (n *noun[M, P]) lock(tx *sqldb.Tx, pk string) (M, error) {
	m, err := n.get(tx, pk, tx.ForUpdate())
	if err != nil {
		return m, err
	}
	return m, n.fillOne(tx, &m)
}

func (n *noun[M, P]) fillOne(tx *sqldb.Tx, m *M) error {
	rows := []M{*m}
	err := n.fill(tx, rows)
	*m = rows[0]
	return err
}

// fillNothing is fill where answers show nothing besides.
func fillNothing[M any](*sqldb.Tx, []M) error { return nil }
