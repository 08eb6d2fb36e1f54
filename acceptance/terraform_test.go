package acceptance

import (
	"testing"

	api "goauthentik.io/api/v3"
)

// TestTerraformFindsWhatItSent makes the calls of the Terraform provider: it writes a
// resource, reads it back and expects every value to be as it was sent, an unset
// relation (sent as "") to be null, and a PUT to keep what it leaves out.
func TestTerraformFindsWhatItSent(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	call(t, t.Context(), c, "GET", "/root/config/", nil).want(t, 200)

	members := terraform{t, c, "/core/users/"}
	ada := members.create(object{"username": "tf-user", "name": "", "type": "internal", "is_active": true,
		"path": "users", "email": "", "groups": []string{}, "attributes": object{}})
	call(t, t.Context(), c, "POST", members.path(ada)+"set_password/", object{"password": "correct horse battery"}).want(t, 204)

	groups := terraform{t, c, "/core/groups/"}
	groupSent := object{"name": "tf-group", "is_superuser": true, "parent": "", "users": []any{ada["pk"]}, "attributes": object{}}
	crew := groups.create(groupSent)
	lean := call(t, t.Context(), c, "GET", groups.path(crew)+"?include_users=false", nil).want(t, 200).object(t)
	holds(t, lean, expected(groupSent))
	holds(t, lean, object{"users_obj": nil})

	transports := terraform{t, c, "/events/transports/"}
	slack := transports.create(object{"name": "tf-slack", "mode": "webhook_slack", "send_once": true,
		"webhook_url": "https://discord.com/....", "webhook_mapping": ""})
	local := transports.create(object{"name": "tf-local", "mode": "local", "send_once": true, "webhook_url": "", "webhook_mapping": ""})

	mappings := terraform{t, c, "/propertymappings/notification/"}
	body := mappings.create(object{"name": "tf-mapping", "expression": "return {\"a\": 1}"})
	hook := transports.create(object{"name": "tf-hook", "mode": "webhook", "send_once": true,
		"webhook_url": "https://example.com/", "webhook_mapping": body["pk"]})

	rules := terraform{t, c, "/events/rules/"}
	unset := rules.create(object{"name": "tf-rule-unset", "severity": "warning", "transports": []any{local["pk"]}, "group": ""})
	ruled := rules.create(object{"name": "tf-rule", "severity": "warning", "transports": []any{slack["pk"]}, "group": crew["pk"]})

	matchers := terraform{t, c, "/policies/event_matcher/"}
	byApp := matchers.create(object{"name": "tf-by-app", "execution_logging": false, "app": "authentik.core"})
	byAction := matchers.create(object{"name": "tf-by-action", "execution_logging": true, "action": "login", "client_ip": "192.0.2.1"})

	bindings := terraform{t, c, "/policies/bindings/"}
	bound := bindings.create(object{"target": ruled["pk"], "order": 0, "negate": false, "enabled": true, "timeout": 30,
		"failure_result": false, "policy": byApp["pk"], "user": nil, "group": nil})
	byUser := bindings.create(object{"target": ruled["pk"], "order": 1, "negate": true, "enabled": true, "timeout": 30,
		"failure_result": false, "policy": nil, "user": ada["pk"], "group": nil})

	// Every update is a PUT; what it leaves out is kept.
	transports.update(slack, object{"name": "tf-slack-renamed", "mode": "webhook_slack", "webhook_url": "https://discord.com/...."})
	mappings.update(body, object{"name": "tf-mapping", "expression": "return {}"})
	transports.update(hook, object{"name": "tf-hook", "mode": "webhook", "webhook_url": "https://example.com/", "webhook_mapping": ""})
	rules.update(ruled, object{"name": "tf-rule-renamed", "severity": "alert"})
	rules.update(unset, object{"name": "tf-rule-unset", "severity": "warning", "transports": []any{}, "group": crew["pk"]})
	rules.update(unset, object{"name": "tf-rule-unset", "severity": "warning", "transports": []any{}, "group": ""})
	matchers.update(byAction, object{"name": "tf-by-action", "execution_logging": true})
	bindings.update(bound, object{"target": ruled["pk"], "order": 5, "policy": byApp["pk"], "user": nil, "group": nil})
	groups.update(crew, object{"name": "tf-group", "is_superuser": false, "parent": "", "users": []any{ada["pk"]}, "attributes": object{"a": "b"}})
	members.update(ada, object{"username": "tf-user", "name": "TF", "type": "internal", "is_active": true,
		"path": "users", "email": "tf@example.com", "groups": []any{crew["pk"]}, "attributes": object{}})

	// Data sources want exactly one match.
	for _, query := range []string{"/core/users/?username=tf-user", "/core/groups/?name=tf-group&include_users=true"} {
		page := call(t, t.Context(), c, "GET", query, nil).want(t, 200).object(t)
		if results, _ := page["results"].([]any); len(results) != 1 {
			t.Errorf("%s finds %d", query, len(results))
		}
	}

	// Destroyed in an order that the references forbid no one.
	for _, gone := range []struct {
		resource terraform
		object   object
	}{{groups, crew}, {transports, slack}, {transports, local}, {mappings, body}, {transports, hook}, {bindings, bound}, {bindings, byUser},
		{matchers, byApp}, {matchers, byAction}, {rules, ruled}, {rules, unset}, {members, ada}} {
		gone.resource.destroy(gone.object)
	}
}

// terraform is one kind of resource, as the provider handles it.
type terraform struct {
	t    *testing.T
	c    *api.APIClient
	list string
}

func (r terraform) path(resource object) string {
	return r.list + plain(r.t, resource["pk"]) + "/"
}

// plain writes a pk, which is a text or a number, as it stands in a path.
func plain(t *testing.T, pk any) string {
	t.Helper()
	if name, isText := pk.(string); isText {
		return name
	}
	return encode(t, pk)
}

// expected is how what was sent must be read back: an unset relation is null.
func expected(sent object) object {
	want := object{}
	for key, value := range sent {
		if relation := key == "group" || key == "parent" || key == "webhook_mapping"; relation && value == "" {
			value = nil
		}
		want[key] = value
	}
	return want
}

// create posts a resource and reads it back. A relation that is "" is no uuid, so the
// official description calls the request invalid; the provider sends it all the same.
func (r terraform) create(sent object) object {
	r.t.Helper()
	made := call(r.t, outside(r.t.Context()), r.c, "POST", r.list, sent).want(r.t, 201).object(r.t)
	holds(r.t, made, expected(sent))
	r.reads(made, made)
	return made
}

// update puts a resource and reads it back: all that was sent, and all else as it was.
func (r terraform) update(resource, sent object) {
	r.t.Helper()
	put := call(r.t, outside(r.t.Context()), r.c, "PUT", r.path(resource), sent).want(r.t, 200).object(r.t)
	holds(r.t, put, expected(sent))
	for _, key := range []string{"mode", "send_once", "webhook_url", "transports", "action", "client_ip", "app",
		"negate", "enabled", "timeout", "failure_result", "num_pk"} {
		if _, changed := sent[key]; !changed {
			if before, known := resource[key]; known {
				holds(r.t, put, object{key: before})
			}
		}
	}
	r.reads(resource, put)
}

// reads fails unless a resource is read back with all these members.
func (r terraform) reads(resource, members object) {
	r.t.Helper()
	holds(r.t, call(r.t, r.t.Context(), r.c, "GET", r.path(resource), nil).want(r.t, 200).object(r.t), members)
}

func (r terraform) destroy(resource object) {
	r.t.Helper()
	call(r.t, r.t.Context(), r.c, "DELETE", r.path(resource), nil).want(r.t, 204)
	call(r.t, r.t.Context(), r.c, "GET", r.path(resource), nil).want(r.t, 404)
}
