package main

import (
	"net/http"
	"time"

	"belfry/internal/drf"
)

// compatible is the release of authentik whose contract Belfry serves.
const compatible = "2024.6.2"

// configJSON is what clients ask for at their start: nothing is reported anywhere, nothing else is served.
const configJSON = `{"error_reporting":{"enabled":false,"sentry_dsn":"","environment":"","send_pii":false,` +
	`"traces_sample_rate":0.0},"capabilities":[],"cache_timeout":300,"cache_timeout_flows":300,` +
	`"cache_timeout_policies":300,"cache_timeout_reputation":300}`

func (s *server) config(w http.ResponseWriter, r *http.Request) error {
	return drf.WriteJSON(w, r, http.StatusOK, []byte(configJSON))
}

// version answers authentik's version, for clients, and Belfry's as the build.
func (s *server) version(w http.ResponseWriter, r *http.Request) error {
	out := drf.AppendString([]byte(`{"version_current":`), compatible)
	out = drf.AppendString(append(out, `,"version_latest":`...), compatible)
	out = drf.AppendString(append(out, `,"version_latest_valid":false,"build_hash":`...), buildVersion())
	out = append(out, `,"outdated":false,"outpost_outdated":false}`...)
	return drf.WriteJSON(w, r, http.StatusOK, out)
}

// live says that the process answers.
func (s *server) live(w http.ResponseWriter, _ *http.Request) error { return drf.NoContent(w) }

// ready says that requests can be served: the database takes writes.
func (s *server) ready(w http.ResponseWriter, r *http.Request) error {
	if err := s.db.Ready(r.Context()); err != nil {
		return drf.Unavailable("The storage does not take writes at present. The log says why.", time.Second, err)
	}
	return drf.NoContent(w)
}
