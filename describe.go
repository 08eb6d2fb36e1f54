package main

import (
	"net/http"
	"slices"
	"strings"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/openapi"
	"belfry/internal/rules"
)

// apiBase is what the paths of authentik's API begin with.
const apiBase = "/api/v3"

// noun is what the usual verbs of a noun read and write: GET and POST of its list; GET, PUT, PATCH and DELETE of one, and
// GET of what one is used by.
type noun struct {
	list  string // the path of its list
	shape *drf.Shape
	query *drf.ListSpec
}

// nouns describe the routes that do the usual.
var nouns = []noun{
	{"/api/v3/events/events/", EventSerializer.Shape(), eventList},
	{"/api/v3/events/notifications/", NotificationSerializer.Shape(), notificationList},
	{"/api/v3/events/rules/", rules.RuleSerializer.Shape(), rules.RuleList},
	{"/api/v3/events/transports/", delivery.TransportSerializer.Shape(), delivery.TransportList},
	{"/api/belfry/deliveries/", delivery.LoggedSerializer.Shape(), delivery.LoggedList},
	{"/api/v3/events/system_tasks/", taskSerializer.Shape(), taskList},
	{"/api/v3/propertymappings/notification/", delivery.MappingSerializer.Shape(), delivery.MappingList},
	{"/api/v3/policies/all/", rules.PolicySerializer.Shape(), rules.PolicyList},
	{"/api/v3/policies/expression/", rules.ExpressionSerializer.Shape(), rules.ExpressionList},
	{"/api/v3/policies/event_matcher/", rules.MatcherSerializer.Shape(), rules.MatcherList},
	{"/api/v3/policies/bindings/", rules.BindingSerializer.Shape(), rules.BindingList},
	{"/api/v3/core/users/", identity.UserSerializer.Shape(), identity.UserList},
	{"/api/v3/core/groups/", identity.GroupSerializer.Shape(), identity.GroupList},
	{"/api/v3/core/tokens/", identity.TokenSerializer.Shape(), identity.TokenList},
	{"/api/belfry/me/sessions/", identity.SessionSerializer.Shape(), identity.SessionList},
	{"/api/belfry/sessions/", identity.SessionSerializer.Shape(), identity.SessionList},
}

// special describes the verbs that do something else than a noun's usual one.
var special = map[string]openapi.Operation{
	"GET /api/v3/events/events/actions/": {Says: "All actions that an event may have.",
		Status: http.StatusOK, Answers: drf.KindSerializer.Shape(), Form: openapi.All},
	"GET /api/v3/events/events/top_per_user/": {Says: "The applications that most events of an action name.",
		Query: topList, Status: http.StatusOK, Answers: applicationUseSerializer.Shape(), Form: openapi.All},
	"GET /api/v3/events/events/volume/": {Says: "How many events there were, by time.",
		Query: volumeList, Status: http.StatusOK, Answers: pointSerializer.Shape(), Or: actionCountSerializer.Shape(), Form: openapi.All},
	"GET /api/v3/events/events/per_month/": {Says: "How many events of an action there were in four weeks, by day.",
		Query: monthList, Status: http.StatusOK, Answers: pointSerializer.Shape(), Form: openapi.All},
	"GET /api/v3/events/events/stats/": {Says: "How many people have events, and how many events there are since some moments.",
		Query: statsList, Status: http.StatusOK, Answers: eventStatsSerializer.Shape()},
	"POST /api/belfry/events/": {Says: "Stores many events, a part at a time: what is stored stays, whatever becomes of the rest.",
		Takes: batchEventSerializer.Shape(), Lines: drf.LineTypes, Status: http.StatusOK, Answers: batchAnswerSerializer.Shape()},
	"GET /api/belfry/events/{event_uuid}/explain/": {Says: "What the rules make of an event and why, and what was made of it.",
		Status: http.StatusOK, Answers: explanationSerializer.Shape()},
	"GET /api/belfry/rules/status/": {Says: "When each rule last matched, and what keeps it from that.",
		Status: http.StatusOK, Answers: ruleStatusSerializer.Shape(), Form: openapi.All},
	"POST /api/belfry/rules/{pbm_uuid}/dry_run/": {Says: "What a rule would make of the last events. Nothing is written or sent.",
		Takes: dryRunRequestSerializer.Shape(), Status: http.StatusOK, Answers: dryRunSerializer.Shape()},
	"POST /api/v3/events/notifications/mark_all_seen/": {Says: "Marks all of the caller's own notifications as seen.",
		Status: http.StatusNoContent},
	"POST /api/v3/events/system_tasks/{uuid}/run/": {Says: "Always 404: there are no tasks."},
	"GET /api/v3/events/system_tasks/{uuid}/":      {Says: "Always 404: there are no tasks."},
	"POST /api/v3/events/transports/{uuid}/test/": {Says: "Sends a test to the caller, once and at once, and answers what the receiver said.",
		Status: http.StatusOK, Answers: delivery.TestResultSerializer.Shape()},
	"GET /api/belfry/deliveries/{uuid}/": {Says: "One of them, with its body and its attempts.",
		Status: http.StatusOK, Answers: delivery.LoggedDetailSerializer.Shape()},
	"POST /api/belfry/deliveries/{uuid}/retry/": {Says: "Sends one at once, with ten attempts.",
		Status: http.StatusOK, Answers: delivery.LoggedDetailSerializer.Shape()},
	"POST /api/belfry/deliveries/{uuid}/cancel/": {Says: "Cancels one that waits.",
		Status: http.StatusOK, Answers: delivery.LoggedDetailSerializer.Shape()},
	"POST /api/belfry/deliveries/retry/": {ID: "api_belfry_deliveries_retry_all_create", Says: "Sends all that match, the dead ones unless states are named.",
		Query: delivery.RetryList, Status: http.StatusOK, Answers: delivery.RetriedSerializer.Shape()},
	"POST /api/belfry/mappings/preview/": {Says: "What an expression makes of an event. Nothing is written or sent.",
		Takes: delivery.PreviewRequestSerializer.Shape(), Status: http.StatusOK, Answers: delivery.PreviewSerializer.Shape()},
	"GET /api/belfry/presets/": {Says: "Webhook mappings that are ready for some services.",
		Status: http.StatusOK, Answers: delivery.PresetSerializer.Shape(), Form: openapi.All},
	"GET /api/v3/policies/all/types/": {Says: "The kinds of policies.",
		Status: http.StatusOK, Answers: drf.KindSerializer.Shape(), Form: openapi.All},
	"GET /api/v3/policies/all/cache_info/": {Says: "How many results are cached: none ever are.",
		Status: http.StatusOK, Answers: rules.PolicyCacheSerializer.Shape()},
	"POST /api/v3/policies/all/cache_clear/": {Says: "Clears the cache, of which there is none.", Status: http.StatusNoContent},
	"POST /api/v3/policies/all/{policy_uuid}/test/": {Says: "What a policy says of an event.",
		Takes: rules.PolicyTestSerializer.Shape(), Status: http.StatusOK, Answers: rules.PolicyTestResultSerializer.Shape()},
	"GET /api/v3/core/users/me/": {Says: "The caller.", Status: http.StatusOK, Answers: identity.SessionUserSerializer.Shape()},
	"POST /api/v3/core/users/{id}/set_password/": {Says: "Sets a password: one's own, or, for superusers, anybody's.",
		Takes: identity.UserPasswordSetSerializer.Shape(), Status: http.StatusNoContent},
	"GET /api/v3/core/groups/{group_uuid}/": {Says: "One of them.", Status: http.StatusOK, Answers: identity.GroupSerializer.Shape(),
		Query: &drf.ListSpec{Filters: []drf.Filter{{Name: "include_users", Kind: drf.FilterBool}}}},
	"POST /api/v3/core/groups/{group_uuid}/add_user/": {Says: "Adds a user to a group.",
		Takes: identity.UserAccountSerializer.Shape(), Status: http.StatusNoContent},
	"POST /api/v3/core/groups/{group_uuid}/remove_user/": {Says: "Removes a user from a group.",
		Takes: identity.UserAccountSerializer.Shape(), Status: http.StatusNoContent},
	"POST /api/v3/core/tokens/": {Says: "Makes a token and answers its key, this once.", Takes: identity.TokenSerializer.Shape(),
		Status: http.StatusCreated, Answers: identity.TokenCreatedSerializer.Shape()},
	"POST /api/v3/core/tokens/{identifier}/set_key/": {Says: "Sets the key of a token.",
		Takes: identity.TokenSetKeySerializer.Shape(), Status: http.StatusNoContent},
	"GET /api/v3/core/tokens/{identifier}/view_key/": {Says: "Always refused: keys are stored as hashes."},
	"GET /api/belfry/session/": {Says: "Who has signed in with this browser, if anybody has.",
		Status: http.StatusOK, Answers: identity.WhoSerializer.Shape()},
	"POST /api/belfry/session/": {Says: "Signs in, with a user name and a password or with a token, and sets a cookie.",
		Takes: identity.SignInSerializer.Shape(), Status: http.StatusCreated, Answers: identity.WhoSerializer.Shape()},
	"DELETE /api/belfry/session/": {Says: "Signs out.", Status: http.StatusNoContent},
	"GET /api/belfry/me/":         {Says: "The caller.", Status: http.StatusOK, Answers: identity.WhoSerializer.Shape()},
	"POST /api/belfry/me/password/": {Says: "Changes the caller's password, and ends their other sessions.",
		Takes: identity.PasswordChangeSerializer.Shape(), Status: http.StatusNoContent},
	"GET /api/belfry/live":     {Says: "Hints of what changes, as server-sent events.", Status: http.StatusOK, Media: followMedia},
	"GET /api/belfry/system/":  {Says: "How the server is.", Status: http.StatusOK, Answers: systemSerializer.Shape()},
	"GET /api/v3/root/config/": {Says: "What clients ask for at their start.", Status: http.StatusOK, Answers: configSerializer.Shape()},
	"GET /api/v3/admin/version/": {Says: "The release whose API this is, and Belfry's own as the build.",
		Status: http.StatusOK, Answers: versionSerializer.Shape()},
	"GET /api/v3/schema/":  {Says: "This document, as YAML or JSON.", Query: schemaQuery, Status: http.StatusOK, Media: schemaMedia},
	"GET /-/health/live/":  {Says: "Whether the process answers.", Status: http.StatusNoContent},
	"GET /-/health/ready/": {Says: "Whether requests can be served.", Status: http.StatusNoContent},
}

// operations describes every verb of every route; unknown are those that nothing is known of.
func operations(routes []route) (all []openapi.Operation, unknown []string) {
	for _, rt := range routes {
		for _, v := range rt.verbs {
			o, ok := describeVerb(v.method, rt.path)
			if !ok {
				unknown = append(unknown, v.method+" "+rt.path)
				continue
			}
			o.Method, o.Path, o.Open = v.method, rt.path, v.access.open
			all = append(all, o)
		}
	}
	return all, unknown
}

// describeVerb says what a verb does: something special, or what is usual for its noun.
func describeVerb(method, path string) (openapi.Operation, bool) {
	if o, ok := special[method+" "+path]; ok {
		return o, true
	}
	at := slices.IndexFunc(nouns, func(n noun) bool { return strings.HasPrefix(path, n.list) })
	if at < 0 {
		return openapi.Operation{}, false
	}
	n := nouns[at]
	switch rest := strings.TrimPrefix(path, n.list); {
	case rest == "":
		return n.describeList(method)
	case strings.HasSuffix(rest, "}/"):
		return n.describeOne(method)
	case strings.HasSuffix(rest, "}/used_by/") && method == http.MethodGet:
		return openapi.Operation{Says: "What refers to one.", Status: http.StatusOK,
			Answers: drf.UsedBySerializer.Shape(), Form: openapi.All}, true
	}
	return openapi.Operation{}, false
}

func (n noun) describeList(method string) (openapi.Operation, bool) {
	switch method {
	case http.MethodGet:
		return openapi.Operation{Says: "One page of the list.", Query: n.query,
			Status: http.StatusOK, Answers: n.shape, Form: openapi.Page}, true
	case http.MethodPost:
		return openapi.Operation{Says: "Makes one.", Takes: n.shape, Status: http.StatusCreated, Answers: n.shape}, true
	}
	return openapi.Operation{}, false
}

func (n noun) describeOne(method string) (openapi.Operation, bool) {
	o := openapi.Operation{Status: http.StatusOK, Answers: n.shape}
	switch method {
	case http.MethodGet:
		o.Says = "One of them."
	case http.MethodPut:
		o.Says, o.Takes = "Changes one; what is not required may be left out, and is kept.", n.shape
	case http.MethodPatch:
		o.Says, o.Takes = "Changes one; what is left out is kept.", n.shape
	case http.MethodDelete:
		o = openapi.Operation{Says: "Deletes one.", Status: http.StatusNoContent}
	default:
		return o, false
	}
	return o, true
}

// The schema's forms, in the order of drf-spectacular: who does not say gets the first.
var (
	schemaMedia = []drf.Media{
		{Type: "application/vnd.oai.openapi", Format: "yaml"}, {Type: "application/yaml", Format: "yaml"},
		{Type: "application/vnd.oai.openapi+json", Format: "json"}, {Type: "application/json", Format: "json"},
	}
	schemaQuery = &drf.ListSpec{Filters: []drf.Filter{
		{Name: "format", Kind: drf.FilterChoice, Choices: &drf.Choices{Values: []string{"json", "yaml"}}},
	}}
)

// describe is the description of the whole API.
func (s *server) describe() openapi.Map {
	all, _ := operations(s.routes())
	return openapi.Document(openapi.About{
		Title: "Belfry", Version: compatible, Base: apiBase,
		Description: "The Events API of authentik " + compatible + ", and what later releases added to it.",
	}, all)
}

// document is the description in both forms.
type document struct{ yaml, json []byte }

// schema answers the description of the API, as YAML unless JSON is asked for.
func (s *server) schema(w http.ResponseWriter, r *http.Request) error {
	media, err := drf.Negotiate(r, schemaMedia...)
	if err != nil {
		return err
	}
	d := s.document()
	body, kind := d.yaml, media.Type+"; charset=utf-8"
	if media.Format == "json" {
		body, kind = d.json, media.Type
	}
	return drf.WriteAs(w, r, kind, body)
}
