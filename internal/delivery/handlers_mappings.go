package delivery

import (
	"errors"
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

const errMappingTaken = "Webhook Mapping with this name already exists."

// ListMappings answers GET /propertymappings/notification/ with one page.
func (a *API) ListMappings(w http.ResponseWriter, r *http.Request) error {
	q, err := MappingList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Mapping]
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		page, err = mappingTable.Page(tx, q, sqldb.Where{})
		return err
	})
	if err != nil {
		return err
	}
	return MappingSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// CreateMapping answers POST /propertymappings/notification/ with 201 and the new mapping.
func (a *API) CreateMapping(w http.ResponseWriter, r *http.Request) error {
	in := MappingSerializer.Read(w, r, drf.Create)
	wrong := checkExpression(in.Patch.Expression)
	var m Mapping
	err := a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		m = newMapping()
		if err := saveMapping(tx, in, wrong, &m, insertMapping); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, mappingKind.Created(&m))
	})
	if err != nil {
		return err
	}
	return MappingSerializer.Write(w, r, http.StatusCreated, &m)
}

// GetMapping answers GET /propertymappings/notification/{pm_uuid}/.
func (a *API) GetMapping(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "pm_uuid")
	if err != nil {
		return err
	}
	var m Mapping
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		m, err = getMapping(tx, pk, "")
		return err
	})
	if err != nil {
		return err
	}
	return MappingSerializer.Write(w, r, http.StatusOK, &m)
}

// UpdateMapping answers PUT and PATCH /propertymappings/notification/{pm_uuid}/ with the mapping as it is then.
func (a *API) UpdateMapping(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "pm_uuid")
	if err != nil {
		return err
	}
	in := MappingSerializer.Read(w, r, drf.ModeOf(r))
	wrong := checkExpression(in.Patch.Expression)
	var m Mapping
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		before, err := getMapping(tx, pk, tx.ForUpdate())
		if err != nil {
			return err
		}
		m = before
		if err := saveMapping(tx, in, wrong, &m, updateMapping); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, mappingKind.Updated(&before, &m))
	})
	if err != nil {
		return err
	}
	return MappingSerializer.Write(w, r, http.StatusOK, &m)
}

// DeleteMapping answers DELETE /propertymappings/notification/{pm_uuid}/ with 204.
func (a *API) DeleteMapping(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "pm_uuid")
	if err != nil {
		return err
	}
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		m, err := getMapping(tx, pk, tx.ForUpdate())
		if err != nil {
			return err
		}
		if err := deleteMapping(tx, pk); err != nil {
			return err
		}
		if err := identity.BumpGeneration(tx); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, mappingKind.Deleted(&m))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// MappingUsedBy answers GET /propertymappings/notification/{pm_uuid}/used_by/ with the transports that use it.
func (a *API) MappingUsedBy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "pm_uuid")
	if err != nil {
		return err
	}
	var list []drf.UsedBy
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if _, err = getMapping(tx, pk, ""); err != nil {
			return err
		}
		list, err = mappingUsedBy(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, list)
}

// checkExpression says why an expression that was sent cannot run.
func checkExpression(expression drf.Field[string]) error {
	if !expression.Set {
		return nil
	}
	_, err := script.Compile(expression.Value)
	return err
}

// saveMapping checks a request for m, applies it and stores m. What webhooks send depends on mappings, so that
// what was prepared before must not be used any more. What is wrong with the expression was found before the write.
func saveMapping(tx *sqldb.Tx, in drf.Input[MappingPatch], wrong error, m *Mapping, store func(*sqldb.Tx, Mapping) error) error {
	errs := in.Errors()
	if in.Patch.Name.Set {
		taken, err := nameTaken(tx, "mapping", in.Patch.Name.Value, m.PK)
		if err != nil {
			return err
		}
		if taken {
			errs.Add("name", errMappingTaken)
		}
	}
	if wrong != nil && !errs.Has("expression") {
		errs.Add("expression", wrong.Error())
	}
	if err := errs.Err(); err != nil {
		return err
	}
	in.Patch.apply(m)
	if err := store(tx, *m); err != nil {
		// On PostgreSQL another write may have taken the name since it was looked for.
		if _, ok := errors.AsType[*sqldb.UniqueError](err); ok {
			return drf.Invalid("name", errMappingTaken)
		}
		return err
	}
	return identity.BumpGeneration(tx)
}
