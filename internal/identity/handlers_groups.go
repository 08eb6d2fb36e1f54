package identity

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// ListGroups answers GET groups/.
func (a *API) ListGroups(w http.ResponseWriter, r *http.Request) error {
	q, err := GroupList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Group]
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		page, err = listGroups(tx, q, included(r, "include_users"))
		return err
	})
	if err != nil {
		return err
	}
	return GroupSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// CreateGroup answers POST groups/.
func (a *API) CreateGroup(w http.ResponseWriter, r *http.Request) error {
	in := GroupSerializer.Read(w, r, drf.Create)
	var group Group
	err := a.write(r, func(tx *sqldb.Tx) (err error) {
		if group, err = createGroup(tx, in); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, groupKind.Created(&group))
	})
	if err != nil {
		return err
	}
	return GroupSerializer.Write(w, r, http.StatusCreated, &group)
}

// GetGroup answers GET groups/{group_uuid}/.
func (a *API) GetGroup(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "group_uuid")
	if err != nil {
		return err
	}
	var group Group
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		group, err = getGroup(tx, pk, included(r, "include_users"))
		return err
	})
	if err != nil {
		return err
	}
	return GroupSerializer.Write(w, r, http.StatusOK, &group)
}

// UpdateGroup answers PUT and PATCH groups/{group_uuid}/.
func (a *API) UpdateGroup(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "group_uuid")
	if err != nil {
		return err
	}
	in := GroupSerializer.Read(w, r, drf.ModeOf(r))
	var group Group
	err = a.write(r, func(tx *sqldb.Tx) (err error) {
		var before Group
		if before, group, err = updateGroup(tx, pk, in); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, groupKind.Updated(&before, &group))
	})
	if err != nil {
		return err
	}
	return GroupSerializer.Write(w, r, http.StatusOK, &group)
}

// DeleteGroup answers DELETE groups/{group_uuid}/.
func (a *API) DeleteGroup(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "group_uuid")
	if err != nil {
		return err
	}
	err = a.write(r, func(tx *sqldb.Tx) error {
		group, err := deleteGroup(tx, pk)
		if err != nil {
			return err
		}
		return a.Trail.Record(tx, r, groupKind.Deleted(&group))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// AddUser answers POST groups/{group_uuid}/add_user/.
func (a *API) AddUser(w http.ResponseWriter, r *http.Request) error {
	return a.changeMember(w, r, join)
}

// RemoveUser answers POST groups/{group_uuid}/remove_user/.
func (a *API) RemoveUser(w http.ResponseWriter, r *http.Request) error {
	return a.changeMember(w, r, leave)
}

func (a *API) changeMember(w http.ResponseWriter, r *http.Request, change func(tx *sqldb.Tx, groupPK string, userPK int64) error) error {
	pk, err := drf.PathUUID(r, "group_uuid")
	if err != nil {
		return err
	}
	in := UserAccountSerializer.Read(w, r, drf.Create)
	err = a.write(r, func(tx *sqldb.Tx) error {
		before, after, err := changeMember(tx, pk, in, change)
		if err != nil {
			return err
		}
		return a.Trail.Record(tx, r, groupKind.Updated(&before, &after))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// GroupUsedBy answers GET groups/{group_uuid}/used_by/.
func (a *API) GroupUsedBy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "group_uuid")
	if err != nil {
		return err
	}
	var list []drf.UsedBy
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		if list, err = groupUsedBy(tx, pk); err != nil {
			return err
		}
		list, err = a.withOthers(tx, "group", pk, list)
		return err
	})
	if err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, list)
}
