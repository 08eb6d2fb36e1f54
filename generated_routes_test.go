package main

import (
	"strings"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/rules"
)

// made is a shape of fields of the given types, for the answers that have no serializer: "name:type".
func made(fields ...string) *drf.Shape {
	sh := &drf.Shape{}
	for _, f := range fields {
		name, kind, _ := strings.Cut(f, ":")
		sh.Fields = append(sh.Fields, drf.Info{Name: name, Type: kind})
	}
	return sh
}

var (
	eventShape   = EventSerializer.Shape()
	usedByShape  = made("app:string", "model_name:string", "pk:string", "name:string", "action:string")
	chartShape   = made("x_cord:integer", "y_cord:integer")
	historyShape = made("time:string", "action:string", "count:integer")
)

// kind is what the generator and the checks need to know of a route.
type kind struct {
	object  *drf.Shape    // what GET of one, POST, PUT and PATCH answer
	created *drf.Shape    // what POST answers, where that is more
	one     *drf.Shape    // what GET of one answers, where a list has less
	body    *drf.Shape    // what is read, where that is not object
	list    *drf.ListSpec // of a list in the envelope
	plain   *drf.Shape    // items of a list without the envelope; a chart may have chartShape or historyShape
	any     bool          // an object of whatever fields
	asks    bool          // POST makes nothing
	acts    bool          // POST does something to what is there, and does not make it
	leaves  bool          // a record, also where POST is refused
	batch   bool          // it reads many objects
	guesses bool          // it may be a wrong guess: it comes from a source of its own, and the log may tell of it
	endless bool          // it is answered until somebody has enough: nobody asks it here
	table   string        // whose keys the path's variable names; policy/expression names those of one kind
	weight  int           // how often it is asked; 0 stands for 10
	params  []string      // further query parameters
}

// key is the column whose value stands in paths.
func (k kind) key() string {
	if k.table == "token" {
		return "identifier"
	}
	return "pk"
}

// detailed is the shape of one.
func (k kind) detailed() *drf.Shape {
	if k.one != nil {
		return k.one
	}
	return k.object
}

// reads is the shape of a body.
func (k kind) reads() *drf.Shape {
	if k.body != nil {
		return k.body
	}
	return k.object
}

// kinds has an entry for every route of the API, by its path.
func kinds() map[string]kind {
	charts := []string{"action", "top_n", "history_days", "query"}
	all := map[string]kind{
		"/api/v3/events/events/actions/":                {plain: made("name:string", "description:string", "component:string", "model_name:string", "requires_enterprise:boolean"), weight: 2},
		"/api/v3/events/events/top_per_user/":           {plain: made("application:object", "counted_events:integer", "unique_users:integer"), params: charts, weight: 4},
		"/api/v3/events/events/volume/":                 {plain: chartShape, list: eventList, params: charts, weight: 4},
		"/api/v3/events/events/per_month/":              {plain: chartShape, params: charts, weight: 4},
		"/api/v3/events/notifications/mark_all_seen/":   {table: "notification", weight: 2},
		"/api/v3/core/users/me/":                        {object: identity.SessionUserSerializer.Shape(), weight: 3},
		"/api/v3/core/users/{id}/set_password/":         {table: "app_user", body: identity.UserPasswordSetSerializer.Shape(), weight: 1},
		"/api/v3/core/groups/{group_uuid}/add_user/":    {table: "user_group", body: identity.UserAccountSerializer.Shape()},
		"/api/v3/core/groups/{group_uuid}/remove_user/": {table: "user_group", body: identity.UserAccountSerializer.Shape(), weight: 4},
		"/api/v3/core/tokens/{identifier}/set_key/":     {table: "token", body: identity.TokenSetKeySerializer.Shape(), weight: 4},
		"/api/v3/core/tokens/{identifier}/view_key/":    {table: "token", weight: 2},
		"/api/v3/root/config/":                          {any: true, weight: 1},
		"/api/v3/admin/version/":                        {any: true, weight: 1},
		"/api/v3/events/events/stats/":                  {any: true, params: []string{"count_steps"}, weight: 4},
		"/api/v3/schema/":                               {any: true, weight: 1},
		"/api/v3/events/system_tasks/":                  {object: taskSerializer.Shape(), list: taskList, weight: 1},
		"/api/v3/events/system_tasks/{uuid}/":           {object: taskSerializer.Shape(), weight: 1},
		"/api/v3/events/system_tasks/{uuid}/run/":       {weight: 1},
		"/api/v3/policies/all/":                         {object: rules.PolicySerializer.Shape(), list: rules.PolicyList, table: "policy"},
		"/api/belfry/presets/":                          {plain: delivery.PresetSerializer.Shape(), weight: 1},
		"/api/v3/policies/all/types/":                   {plain: drf.KindSerializer.Shape(), weight: 2},
		"/api/v3/policies/all/cache_info/":              {object: rules.PolicyCacheSerializer.Shape(), weight: 1},
		"/api/v3/policies/all/cache_clear/":             {weight: 1},
		"/api/v3/policies/all/{policy_uuid}/":           {object: rules.PolicySerializer.Shape(), table: "policy"},
		"/api/v3/policies/all/{policy_uuid}/test/":      {object: rules.PolicyTestResultSerializer.Shape(), body: rules.PolicyTestSerializer.Shape(), asks: true, table: "policy"},
		"/api/v3/policies/all/{policy_uuid}/used_by/":   {plain: usedByShape, table: "policy", weight: 3},
		"/api/v3/events/transports/{uuid}/test/":        {object: delivery.TestResultSerializer.Shape(), acts: true, leaves: true, table: "transport", weight: 3},
		"/api/belfry/deliveries/":                       {object: delivery.LoggedSerializer.Shape(), one: delivery.LoggedDetailSerializer.Shape(), list: delivery.LoggedList, table: "delivery", weight: 6},
		"/api/belfry/deliveries/retry/":                 {object: delivery.RetriedSerializer.Shape(), acts: true, table: "delivery", weight: 3},
		"/api/belfry/deliveries/{uuid}/":                {object: delivery.LoggedDetailSerializer.Shape(), table: "delivery", weight: 5},
		"/api/belfry/deliveries/{uuid}/retry/":          {object: delivery.LoggedDetailSerializer.Shape(), acts: true, table: "delivery", weight: 3},
		"/api/belfry/deliveries/{uuid}/cancel/":         {object: delivery.LoggedDetailSerializer.Shape(), acts: true, table: "delivery", weight: 3},
		"/api/belfry/events/":                           {object: batchAnswerSerializer.Shape(), batch: true, acts: true, leaves: true, weight: 20},
		"/api/belfry/events/{event_uuid}/explain/":      {object: explanationSerializer.Shape(), table: "event", weight: 3},
		"/api/belfry/rules/{pbm_uuid}/dry_run/":         {object: dryRunSerializer.Shape(), body: dryRunRequestSerializer.Shape(), asks: true, table: "rule", weight: 3},
		"/api/belfry/rules/status/":                     {plain: ruleStatusSerializer.Shape(), weight: 2},
		"/api/belfry/mappings/preview/":                 {object: delivery.PreviewSerializer.Shape(), body: delivery.PreviewRequestSerializer.Shape(), asks: true, weight: 3},
		"/api/belfry/session/":                          {object: identity.WhoSerializer.Shape(), body: identity.SignInSerializer.Shape(), guesses: true, weight: 4},
		"/api/belfry/me/":                               {object: identity.WhoSerializer.Shape(), weight: 2},
		"/api/belfry/me/password/":                      {body: identity.PasswordChangeSerializer.Shape(), guesses: true, weight: 1},
		"/api/belfry/me/sessions/":                      {object: identity.SessionSerializer.Shape(), list: identity.SessionList, weight: 4},
		"/api/belfry/me/sessions/{uuid}/":               {table: "user_session", weight: 2},
		"/api/belfry/sessions/":                         {object: identity.SessionSerializer.Shape(), list: identity.SessionList, weight: 4},
		"/api/belfry/sessions/{uuid}/":                  {table: "user_session", weight: 2},
		"/api/belfry/live":                              {endless: true},
		"/api/belfry/system/":                           {object: systemSerializer.Shape(), weight: 2},
		"/-/health/live/":                               {weight: 1},
		"/-/health/ready/":                              {weight: 1},
	}
	for _, noun := range []struct {
		path, variable string
		kind           kind
	}{
		{"/api/v3/events/events/", "{event_uuid}/", kind{object: eventShape, list: eventList, table: "event", weight: 30}},
		{"/api/v3/events/notifications/", "{uuid}/", kind{object: NotificationSerializer.Shape(), list: notificationList, table: "notification", weight: 30}},
		{"/api/v3/events/rules/", "{pbm_uuid}/", kind{object: rules.RuleSerializer.Shape(), list: rules.RuleList, table: "rule"}},
		{"/api/v3/events/transports/", "{uuid}/", kind{object: delivery.TransportSerializer.Shape(), list: delivery.TransportList, table: "transport"}},
		{"/api/v3/policies/event_matcher/", "{policy_uuid}/", kind{object: rules.MatcherSerializer.Shape(), list: rules.MatcherList, table: "policy/event_matcher"}},
		{"/api/v3/policies/bindings/", "{policy_binding_uuid}/", kind{object: rules.BindingSerializer.Shape(), list: rules.BindingList, table: "binding"}},
		{"/api/v3/policies/expression/", "{policy_uuid}/", kind{object: rules.ExpressionSerializer.Shape(), list: rules.ExpressionList, table: "policy/expression"}},
		{"/api/v3/propertymappings/notification/", "{pm_uuid}/", kind{object: delivery.MappingSerializer.Shape(), list: delivery.MappingList, table: "mapping"}},
		{"/api/v3/core/users/", "{id}/", kind{object: identity.UserSerializer.Shape(), list: identity.UserList, table: "app_user", params: []string{"include_groups"}}},
		{"/api/v3/core/groups/", "{group_uuid}/", kind{object: identity.GroupSerializer.Shape(), list: identity.GroupList, table: "user_group", params: []string{"include_users"}}},
		{"/api/v3/core/tokens/", "{identifier}/", kind{object: identity.TokenSerializer.Shape(), created: identity.TokenCreatedSerializer.Shape(), list: identity.TokenList, table: "token"}},
	} {
		one := noun.kind
		one.list = nil
		all[noun.path], all[noun.path+noun.variable] = noun.kind, one
		all[noun.path+noun.variable+"used_by/"] = kind{plain: usedByShape, table: noun.kind.table, weight: 3}
	}
	delete(all, "/api/v3/events/events/{event_uuid}/used_by/") // authentik has none
	return all
}

// references are the tables that fields with the pks of other objects name.
var references = map[string]string{
	"transport": "transport", "rule": "rule", "recipient": "app_user", "policy": "policy", "group": "user_group", "destination_group": "user_group", "parent": "user_group", "parents": "user_group",
	"groups": "user_group", "target": "rule", "target_in": "rule", "transports": "transport", "user": "app_user", "users": "app_user", "pk": "app_user",
	"event": "event", "webhook_mapping": "mapping", "webhook_mapping_body": "mapping", "webhook_mapping_headers": "mapping", "policy_uuid": "policy", "groups_by_pk": "user_group", "members_by_pk": "app_user", "uuid": "app_user",
}
