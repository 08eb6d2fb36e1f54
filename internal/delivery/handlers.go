package delivery

import (
	"errors"
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// API answers the requests under /api/v3/events/transports/ and /propertymappings/notification/. Who may call what is decided before it.
type API struct {
	DB *sqldb.DB
	// UsedBy answers what refers to a transport.
	UsedBy func(tx *sqldb.Tx, transportPK string) ([]drf.UsedBy, error)
	// Trail records every change, in its transaction.
	Trail trail.Func
}

// ListTransports answers GET /events/transports/ with one page.
func (a *API) ListTransports(w http.ResponseWriter, r *http.Request) error {
	q, err := TransportList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Transport]
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		page, err = listTransports(tx, q, visible(maySeeURLs(r)))
		return err
	})
	if err != nil {
		return err
	}
	return TransportSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// CreateTransport answers POST /events/transports/ with 201 and the new transport.
func (a *API) CreateTransport(w http.ResponseWriter, r *http.Request) error {
	in := TransportSerializer.Read(w, r, drf.Create)
	var t Transport
	err := a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		t = newTransport()
		if err := save(tx, in, &t, insertTransport); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, transportKind.Created(&t))
	})
	if err != nil {
		return err
	}
	return TransportSerializer.Write(w, r, http.StatusCreated, &t)
}

// GetTransport answers GET /events/transports/{uuid}/.
func (a *API) GetTransport(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	var t Transport
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		t, err = getTransport(tx, visible(maySeeURLs(r)), pk, "")
		return err
	})
	if err != nil {
		return err
	}
	return TransportSerializer.Write(w, r, http.StatusOK, &t)
}

// UpdateTransport answers PUT and PATCH /events/transports/{uuid}/ with the transport as it
// is then. Both keep what the request leaves out; PUT asks for the required fields.
func (a *API) UpdateTransport(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	in := TransportSerializer.Read(w, r, drf.ModeOf(r))
	var t Transport
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		before, err := getTransport(tx, visible(true), pk, tx.ForUpdate())
		if err != nil {
			return err
		}
		t = before
		if err := save(tx, in, &t, updateTransport); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, transportKind.Updated(&before, &t))
	})
	if err != nil {
		return err
	}
	return TransportSerializer.Write(w, r, http.StatusOK, &t)
}

// DeleteTransport answers DELETE /events/transports/{uuid}/ with 204.
func (a *API) DeleteTransport(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		t, err := deleteTransport(tx, pk)
		if err != nil {
			return err
		}
		if err := identity.BumpGeneration(tx); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, transportKind.Deleted(&t))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// TransportUsedBy answers GET /events/transports/{uuid}/used_by/ with what UsedBy says.
func (a *API) TransportUsedBy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	var list []drf.UsedBy
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if _, err = getTransport(tx, visible(false), pk, ""); err != nil {
			return err
		}
		list, err = a.UsedBy(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, list)
}

// save checks a request for t, applies it and stores t.
func save(tx *sqldb.Tx, in drf.Input[TransportPatch], t *Transport, store func(*sqldb.Tx, Transport) error) error {
	errs, err := check(tx, in, t.PK)
	if err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	// Looked at only when every field is right, as the framework does with rules about more than one.
	if in.Patch.wantsURL() {
		return drf.Invalid("webhook_url", "Webhook URL may not be empty.")
	}
	in.Patch.apply(t)
	if err := store(tx, *t); err != nil {
		// On PostgreSQL another write may have taken the name since check looked.
		if _, ok := errors.AsType[*sqldb.UniqueError](err); ok {
			return drf.Invalid("name", errNameTaken)
		}
		return err
	}
	return identity.BumpGeneration(tx)
}

const errNameTaken = "Notification Transport with this name already exists."

// check answers all that is wrong with a request for the transport pk, field by field.
func check(tx *sqldb.Tx, in drf.Input[TransportPatch], pk string) (*drf.Errors, error) {
	errs := in.Errors()
	if in.Patch.Name.Set {
		taken, err := nameTaken(tx, "transport", in.Patch.Name.Value, pk)
		if err != nil {
			return nil, err
		}
		if taken {
			errs.Add("name", errNameTaken)
		}
	}
	for _, m := range []struct {
		name  string
		field drf.Field[string]
	}{{"webhook_mapping", in.Patch.BodyMapping}, {"webhook_mapping_headers", in.Patch.HeadersMapping}} {
		if err := checkMapping(tx, errs, m.name, m.field); err != nil {
			return nil, err
		}
	}
	return errs, nil
}

// maySeeURLs reports whether the caller may change transports.
func maySeeURLs(r *http.Request) bool {
	caller := identity.CallerOf(r.Context())
	return caller.Superuser && caller.Scopes.Has(identity.ScopeAdmin)
}
