package identity

import (
	"net/http"
	"strconv"
	"unicode/utf8"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// ListUsers answers GET users/.
func (a *API) ListUsers(w http.ResponseWriter, r *http.Request) error {
	q, err := UserList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[User]
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		page, err = listUsers(tx, q, included(r, "include_groups"))
		return err
	})
	if err != nil {
		return err
	}
	return UserSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// CreateUser answers POST users/.
func (a *API) CreateUser(w http.ResponseWriter, r *http.Request) error {
	in := UserSerializer.Read(w, r, drf.Create)
	var user User
	err := a.write(r, func(tx *sqldb.Tx) (err error) {
		if user, err = createUser(tx, in); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, userKind.Created(&user))
	})
	if err != nil {
		return err
	}
	return UserSerializer.Write(w, r, http.StatusCreated, &user)
}

// GetUser answers GET users/{id}/.
func (a *API) GetUser(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathInt(r, "id")
	if err != nil {
		return err
	}
	var user User
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		user, err = GetUser(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	return UserSerializer.Write(w, r, http.StatusOK, &user)
}

// UpdateUser answers PUT and PATCH users/{id}/.
func (a *API) UpdateUser(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathInt(r, "id")
	if err != nil {
		return err
	}
	in := UserSerializer.Read(w, r, drf.ModeOf(r))
	var user User
	err = a.write(r, func(tx *sqldb.Tx) (err error) {
		var before User
		if before, user, err = updateUser(tx, pk, in); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, userKind.Updated(&before, &user))
	})
	if err != nil {
		return err
	}
	return UserSerializer.Write(w, r, http.StatusOK, &user)
}

// DeleteUser answers DELETE users/{id}/.
func (a *API) DeleteUser(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathInt(r, "id")
	if err != nil {
		return err
	}
	err = a.write(r, func(tx *sqldb.Tx) error {
		user, err := deleteUser(tx, pk)
		if err != nil {
			return err
		}
		return a.Trail.Record(tx, r, userKind.Deleted(&user))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// Me answers GET users/me/ for everybody who has signed in.
func (a *API) Me(w http.ResponseWriter, r *http.Request) error {
	var self SessionUser
	err := a.read(r, func(tx *sqldb.Tx) (err error) {
		self, err = sessionUser(tx, CallerOf(r.Context()).User.PK)
		return err
	})
	if err != nil {
		return err
	}
	return SessionUserSerializer.Write(w, r, http.StatusOK, &self)
}

// SetPassword answers POST users/{id}/set_password/: one's own, or, for a superuser, anybody's. Whoever is not
// allowed to learns nothing of who exists. A session is not enough for one's own: see ChangePassword.
func (a *API) SetPassword(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathInt(r, "id")
	if err != nil {
		return err
	}
	switch caller := CallerOf(r.Context()); {
	case !caller.owns(pk):
		return drf.Forbidden()
	case caller.SessionPK != "" && caller.User.PK == pk:
		return drf.Detail(http.StatusForbidden, "Change your own password at /api/belfry/me/password/, which asks for the old one.")
	}
	in := UserPasswordSetSerializer.Read(w, r, drf.Create)
	err = a.read(r, func(tx *sqldb.Tx) error {
		_, err := GetUser(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	if err := in.Err(); err != nil {
		return err
	}
	if utf8.RuneCountInString(in.Patch.Password.Value) < minPasswordLength {
		return drf.Invalid("password", msgShortPassword)
	}
	hash, err := a.Passwords.Hash(r.Context(), in.Patch.Password.Value)
	if err != nil {
		return err
	}
	err = a.writeBeside(r, func(tx *sqldb.Tx) error { return a.storePassword(tx, r, pk, hash) })
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// UserUsedBy answers GET users/{id}/used_by/.
func (a *API) UserUsedBy(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathInt(r, "id")
	if err != nil {
		return err
	}
	var list []drf.UsedBy
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		if list, err = userUsedBy(tx, pk); err != nil {
			return err
		}
		list, err = a.withOthers(tx, "user", strconv.FormatInt(pk, 10), list)
		return err
	})
	if err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, list)
}
