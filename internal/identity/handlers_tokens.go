package identity

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// ListTokens answers GET tokens/: the caller's own, or, for a superuser, everybody's.
func (a *API) ListTokens(w http.ResponseWriter, r *http.Request) error {
	q, err := TokenList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Token]
	err = a.read(r, func(tx *sqldb.Tx) (err error) {
		page, err = listTokens(tx, CallerOf(r.Context()), q)
		return err
	})
	if err != nil {
		return err
	}
	return TokenSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// CreateToken answers POST tokens/, with the key, once.
func (a *API) CreateToken(w http.ResponseWriter, r *http.Request) error {
	in := TokenSerializer.Read(w, r, drf.Create)
	key := NewKey()
	hash := HashKey(key)
	var token Token
	err := a.writeBeside(r, func(tx *sqldb.Tx) (err error) {
		if token, err = createToken(tx, CallerOf(r.Context()), in, hash); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, tokenKind.Created(&token))
	})
	if err != nil {
		return err
	}
	token.Key = key
	return TokenCreatedSerializer.Write(w, r, http.StatusCreated, &token)
}

// GetToken answers GET tokens/{identifier}/.
func (a *API) GetToken(w http.ResponseWriter, r *http.Request) error {
	var token Token
	err := a.read(r, func(tx *sqldb.Tx) (err error) {
		token, err = getToken(tx, CallerOf(r.Context()), drf.PathText(r, "identifier"))
		return err
	})
	if err != nil {
		return err
	}
	return TokenSerializer.Write(w, r, http.StatusOK, &token)
}

// UpdateToken answers PUT and PATCH tokens/{identifier}/.
func (a *API) UpdateToken(w http.ResponseWriter, r *http.Request) error {
	in := TokenSerializer.Read(w, r, drf.ModeOf(r))
	var token Token
	err := a.writeBeside(r, func(tx *sqldb.Tx) (err error) {
		var before Token
		if before, token, err = updateToken(tx, CallerOf(r.Context()), drf.PathText(r, "identifier"), in); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, tokenKind.Updated(&before, &token))
	})
	if err != nil {
		return err
	}
	return TokenSerializer.Write(w, r, http.StatusOK, &token)
}

// DeleteToken answers DELETE tokens/{identifier}/.
func (a *API) DeleteToken(w http.ResponseWriter, r *http.Request) error {
	err := a.writeBeside(r, func(tx *sqldb.Tx) error {
		token, err := deleteToken(tx, CallerOf(r.Context()), drf.PathText(r, "identifier"))
		if err != nil {
			return err
		}
		return a.Trail.Record(tx, r, tokenKind.Deleted(&token))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// SetKey answers POST tokens/{identifier}/set_key/, which needs a superuser.
func (a *API) SetKey(w http.ResponseWriter, r *http.Request) error {
	in := TokenSetKeySerializer.Read(w, r, drf.Create)
	hash := HashKey(in.Patch.Key.Value)
	err := a.writeBeside(r, func(tx *sqldb.Tx) error {
		token, err := setKey(tx, CallerOf(r.Context()), drf.PathText(r, "identifier"), in, hash)
		if err != nil {
			return err
		}
		return a.Trail.Record(tx, r, tokenKind.Replaced(&token, "key"))
	})
	if err != nil {
		return err
	}
	return drf.NoContent(w)
}

// ViewKey answers GET tokens/{identifier}/view_key/ with 403: only the hash of a key is known.
func (a *API) ViewKey(_ http.ResponseWriter, r *http.Request) error {
	if err := a.hasToken(r); err != nil {
		return err
	}
	return drf.Detail(http.StatusForbidden,
		"Keys are stored as hashes and cannot be shown. Make a new token, or set a key with set_key.")
}

// TokenUsedBy answers GET tokens/{identifier}/used_by/: nothing refers to a token.
func (a *API) TokenUsedBy(w http.ResponseWriter, r *http.Request) error {
	if err := a.hasToken(r); err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, nil)
}

// hasToken answers 404 for a token that the caller does not see.
func (a *API) hasToken(r *http.Request) error {
	return a.read(r, func(tx *sqldb.Tx) error {
		_, err := tokenOf(tx, CallerOf(r.Context()), drf.PathText(r, "identifier"), "")
		return err
	})
}
