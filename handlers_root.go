package main

import (
	"net/http"
	"time"

	"belfry/internal/drf"
)

// compatible is the release of authentik whose contract Belfry serves.
const compatible = "2024.6.2"

// errorReporting says that nothing is reported anywhere.
var errorReporting = drf.NewSerializer("ErrorReportingConfig",
	drf.Bool[none, none]("enabled", func(*none) bool { return false }, nil),
	drf.Text[none, none]("sentry_dsn", func(*none) string { return "" }, nil),
	drf.Text[none, none]("environment", func(*none) string { return "" }, nil),
	drf.Bool[none, none]("send_pii", func(*none) bool { return false }, nil),
	drf.Float[none, none]("traces_sample_rate", func(*none) float64 { return 0 }),
)

var capabilities = &drf.Choices{Name: "CapabilitiesEnum", Values: []string{
	"can_save_media", "can_geo_ip", "can_asn", "can_impersonate", "can_debug", "is_enterprise"}}

// cacheTimeout is what authentik's caches have; Belfry has none.
func cacheTimeout(*none) int64 { return 300 }

// configSerializer writes what clients ask for at their start: nothing else is served.
var configSerializer = drf.NewSerializer("Config",
	drf.Nested[none, none]("error_reporting", errorReporting, func(n *none) *none { return n }, nil),
	drf.Strings[none, none]("capabilities", capabilities, func(*none) []string { return nil }, nil),
	drf.Int[none, none]("cache_timeout", cacheTimeout, nil),
	drf.Int[none, none]("cache_timeout_flows", cacheTimeout, nil),
	drf.Int[none, none]("cache_timeout_policies", cacheTimeout, nil),
	drf.Int[none, none]("cache_timeout_reputation", cacheTimeout, nil),
)

func (s *server) config(w http.ResponseWriter, r *http.Request) error {
	return configSerializer.Write(w, r, http.StatusOK, &none{})
}

// versionSerializer writes authentik's version, for clients, and Belfry's as the build.
var versionSerializer = drf.NewSerializer("Version",
	drf.Text[none, none]("version_current", func(*none) string { return compatible }, nil),
	drf.Text[none, none]("version_latest", func(*none) string { return compatible }, nil),
	drf.Bool[none, none]("version_latest_valid", func(*none) bool { return false }, nil),
	drf.Text[none, none]("build_hash", func(*none) string { return buildVersion() }, nil),
	drf.Bool[none, none]("outdated", func(*none) bool { return false }, nil),
	drf.Bool[none, none]("outpost_outdated", func(*none) bool { return false }, nil, drf.Since("2026.8")),
)

func (s *server) version(w http.ResponseWriter, r *http.Request) error {
	return versionSerializer.Write(w, r, http.StatusOK, &none{})
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
