package delivery

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/resource"
	"belfry/internal/sqldb"
)

const errMappingTaken = "Webhook Mapping with this name already exists."

// mappings are what makes the bodies and headers of webhooks. Those that use one stay when it is deleted, without one.
func (a *API) mappings() *resource.Noun[Mapping, MappingPatch] {
	return &resource.Noun[Mapping, MappingPatch]{
		DB: a.DB, Trail: a.Trail, Changed: identity.BumpGeneration,
		Table: "mapping", Path: "pm_uuid",
		Serializer: MappingSerializer, Kind: &mappingKind, Spec: MappingList,
		List: listMappings, Get: getMapping,
		Fresh: newMapping, Apply: applyMapping, Insert: insertMapping, Update: updateMapping,
		Taken:  func() error { return drf.Invalid("name", errMappingTaken) },
		UsedBy: mappingUsedBy,
	}
}

// ListMappings answers GET /propertymappings/notification/.
func (a *API) ListMappings(w http.ResponseWriter, r *http.Request) error {
	return a.mappings().AnswerList(w, r)
}

// CreateMapping answers POST /propertymappings/notification/.
func (a *API) CreateMapping(w http.ResponseWriter, r *http.Request) error {
	return a.mappings().AnswerCreate(w, r)
}

// GetMapping answers GET /propertymappings/notification/{pm_uuid}/.
func (a *API) GetMapping(w http.ResponseWriter, r *http.Request) error {
	return a.mappings().AnswerGet(w, r)
}

// UpdateMapping answers PUT and PATCH /propertymappings/notification/{pm_uuid}/.
func (a *API) UpdateMapping(w http.ResponseWriter, r *http.Request) error {
	return a.mappings().AnswerUpdate(w, r)
}

// DeleteMapping answers DELETE /propertymappings/notification/{pm_uuid}/.
func (a *API) DeleteMapping(w http.ResponseWriter, r *http.Request) error {
	return a.mappings().AnswerDelete(w, r)
}

// MappingUsedBy answers GET /propertymappings/notification/{pm_uuid}/used_by/ with the transports that use it.
func (a *API) MappingUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.mappings().AnswerUsedBy(w, r)
}

// applyMapping checks a request for m and applies it.
func applyMapping(tx *sqldb.Tx, in drf.Input[MappingPatch], m *Mapping) error {
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
	if err := errs.Err(); err != nil {
		return err
	}
	in.Patch.apply(m)
	return nil
}
