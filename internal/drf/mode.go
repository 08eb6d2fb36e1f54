package drf

import "net/http"

// ModeOf is the mode of a request: PATCH is partial, PUT and POST ask for the required fields.
func ModeOf(r *http.Request) Mode {
	if r.Method == http.MethodPatch {
		return Partial
	}
	return Create
}
