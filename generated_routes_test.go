package main

import (
	"strings"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/rules"
)

// shape is a serializer's table of fields without its types.
type shape struct {
	name   string
	fields []drf.Info
}

func shapeOf[M, P any](s *drf.Serializer[M, P]) *shape {
	sh := &shape{name: s.Name}
	for _, f := range s.Fields {
		sh.fields = append(sh.fields, f.Info)
	}
	return sh
}

// made is a shape of fields of the given types, for the answers that have no serializer: "name:type".
func made(fields ...string) *shape {
	sh := &shape{}
	for _, f := range fields {
		name, kind, _ := strings.Cut(f, ":")
		sh.fields = append(sh.fields, drf.Info{Name: name, Type: kind})
	}
	return sh
}

var (
	eventShape   = shapeOf(EventSerializer)
	usedByShape  = made("app:string", "model_name:string", "pk:string", "name:string", "action:string")
	chartShape   = made("x_cord:integer", "y_cord:integer")
	historyShape = made("time:string", "action:string", "count:integer")
)

// shapes are the nested objects that can be looked into, by the name of their serializer.
var shapes = map[string]*shape{
	"Event": eventShape, "Group": shapeOf(identity.GroupSerializer), "User": shapeOf(identity.UserSerializer),
	"Policy": shapeOf(rules.PolicySerializer),
}

// kind is what the generator and the checks need to know of a route.
type kind struct {
	object  *shape        // what GET of one, POST, PUT and PATCH answer
	created *shape        // what POST answers, where that is more
	body    *shape        // what is read, where that is not object
	list    *drf.ListSpec // of a list in the envelope
	plain   *shape        // items of a list without the envelope; a chart may have chartShape or historyShape
	any     bool          // an object of whatever fields
	table   string        // whose keys the path's variable names
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

// reads is the shape of a body.
func (k kind) reads() *shape {
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
		"/api/v3/core/users/me/":                        {object: shapeOf(identity.SessionUserSerializer), weight: 3},
		"/api/v3/core/users/{id}/set_password/":         {table: "app_user", body: shapeOf(identity.UserPasswordSetSerializer), weight: 1},
		"/api/v3/core/groups/{group_uuid}/add_user/":    {table: "user_group", body: shapeOf(identity.UserAccountSerializer)},
		"/api/v3/core/groups/{group_uuid}/remove_user/": {table: "user_group", body: shapeOf(identity.UserAccountSerializer), weight: 4},
		"/api/v3/core/tokens/{identifier}/set_key/":     {table: "token", body: shapeOf(identity.TokenSetKeySerializer), weight: 4},
		"/api/v3/core/tokens/{identifier}/view_key/":    {table: "token", weight: 2},
		"/api/v3/root/config/":                          {any: true, weight: 1},
		"/api/v3/admin/version/":                        {any: true, weight: 1},
		"/-/health/live/":                               {weight: 1},
		"/-/health/ready/":                              {weight: 1},
	}
	for _, noun := range []struct {
		path, variable string
		kind           kind
	}{
		{"/api/v3/events/events/", "{event_uuid}/", kind{object: eventShape, list: eventList, table: "event", weight: 30}},
		{"/api/v3/events/notifications/", "{uuid}/", kind{object: shapeOf(NotificationSerializer), list: notificationList, table: "notification", weight: 30}},
		{"/api/v3/events/rules/", "{pbm_uuid}/", kind{object: shapeOf(rules.RuleSerializer), list: rules.RuleList, table: "rule"}},
		{"/api/v3/events/transports/", "{uuid}/", kind{object: shapeOf(delivery.TransportSerializer), list: delivery.TransportList, table: "transport"}},
		{"/api/v3/policies/event_matcher/", "{policy_uuid}/", kind{object: shapeOf(rules.MatcherSerializer), list: rules.MatcherList, table: "policy"}},
		{"/api/v3/policies/bindings/", "{policy_binding_uuid}/", kind{object: shapeOf(rules.BindingSerializer), list: rules.BindingList, table: "binding"}},
		{"/api/v3/core/users/", "{id}/", kind{object: shapeOf(identity.UserSerializer), list: identity.UserList, table: "app_user", params: []string{"include_groups"}}},
		{"/api/v3/core/groups/", "{group_uuid}/", kind{object: shapeOf(identity.GroupSerializer), list: identity.GroupList, table: "user_group", params: []string{"include_users"}}},
		{"/api/v3/core/tokens/", "{identifier}/", kind{object: shapeOf(identity.TokenSerializer), created: shapeOf(identity.TokenCreatedSerializer), list: identity.TokenList, table: "token"}},
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
	"policy": "policy", "group": "user_group", "destination_group": "user_group", "parent": "user_group", "parents": "user_group",
	"groups": "user_group", "target": "rule", "target_in": "rule", "transports": "transport", "user": "app_user", "users": "app_user", "pk": "app_user",
	"event": "event", "policy_uuid": "policy", "groups_by_pk": "user_group", "members_by_pk": "app_user", "uuid": "app_user",
}
