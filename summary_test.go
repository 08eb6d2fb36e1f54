package main

import (
	"strings"
	"testing"
	"unicode"

	"belfry/internal/drf"
	"belfry/internal/rules"
)

// fullEvent has everything that a sentence can say.
func fullEvent(action string) *Event {
	ip := "10.0.0.1"
	return &Event{
		Action: action, App: "backup", ClientIP: &ip,
		User: `{"pk":1,"username":"alice","on_behalf_of":{"username":"bob"}}`,
		Context: `{"username":"carol","secret":{"name":"Vault"},"authorized_application":{"name":"Grafana"},"source":{"name":"LDAP"},` +
			`"to":{"username":"dave"},"flow":{"name":"sign-in"},"binding":{"name":"nightly"},"subject":"Hello",` +
			`"new_version":"2.0","model":{"app":"authentik_core","model_name":"user_group","name":"Ops"}}`,
	}
}

// TestSummaryOfEveryAction spells out what is said of each action, of an event that says all and of one that says nothing.
func TestSummaryOfEveryAction(t *testing.T) {
	sentences := map[string]struct{ full, empty string }{
		"login":                      {"alice (as bob) logged in from 10.0.0.1", "Somebody logged in"},
		"login_failed":               {"carol failed to log in from 10.0.0.1", "Somebody failed to log in"},
		"logout":                     {"alice (as bob) logged out from 10.0.0.1", "Somebody logged out"},
		"user_write":                 {"The user carol was written from 10.0.0.1", "A user was written"},
		"suspicious_request":         {"Suspicious request from 10.0.0.1", "Suspicious request"},
		"password_set":               {"alice (as bob) set a password from 10.0.0.1", "Somebody set a password"},
		"secret_view":                {"alice (as bob) viewed the secret of Vault from 10.0.0.1", "Somebody viewed a secret"},
		"secret_rotate":              {"The secret of Vault was rotated", "A secret was rotated"},
		"invitation_used":            {"alice (as bob) used an invitation from 10.0.0.1", "Somebody used an invitation"},
		"authorize_application":      {"alice (as bob) authorized Grafana from 10.0.0.1", "Somebody authorized an application"},
		"source_linked":              {"alice (as bob) linked the source LDAP from 10.0.0.1", "Somebody linked a source"},
		"impersonation_started":      {"alice (as bob) began to impersonate dave from 10.0.0.1", "Somebody began to impersonate somebody"},
		"impersonation_ended":        {"alice (as bob) stopped impersonating dave", "Somebody stopped impersonating somebody"},
		"flow_execution":             {"alice (as bob) ran the flow sign-in", "Somebody ran a flow"},
		"policy_execution":           {"A policy was evaluated: nightly", "A policy was evaluated"},
		"policy_exception":           {"A policy failed: nightly", "A policy failed"},
		"property_mapping_exception": {"A property mapping failed in backup", "A property mapping failed in app"},
		"system_task_execution":      {"A system task ran in backup", "A system task ran in app"},
		"system_task_exception":      {"A system task failed in backup", "A system task failed in app"},
		"system_exception":           {"A system exception occurred in backup", "A system exception occurred in app"},
		"configuration_error":        {"Configuration error in backup", "Configuration error in app"},
		"model_created":              {"alice (as bob) created the user group “Ops”", "Somebody created an object"},
		"model_updated":              {"alice (as bob) changed the user group “Ops”", "Somebody changed an object"},
		"model_deleted":              {"alice (as bob) deleted the user group “Ops”", "Somebody deleted an object"},
		"email_sent":                 {"An e-mail was sent: Hello", "An e-mail was sent"},
		"update_available":           {"Version 2.0 is available", "A new version is available"},
		"user_offboarded":            {"The user carol was offboarded", "A user was offboarded"},
		"configuration_warning":      {"Configuration warning in backup", "Configuration warning in app"},
		"export_ready":               {"An export is ready for alice (as bob)", "An export is ready"},
		"review_initiated":           {"alice (as bob): review initiated in backup from 10.0.0.1", "Review initiated in app"},
		"review_overdue":             {"alice (as bob): review overdue in backup from 10.0.0.1", "Review overdue in app"},
		"review_attested":            {"alice (as bob): review attested in backup from 10.0.0.1", "Review attested in app"},
		"review_completed":           {"alice (as bob): review completed in backup from 10.0.0.1", "Review completed in app"},
		"access_request_created":     {"alice (as bob): access request created in backup from 10.0.0.1", "Access request created in app"},
		"access_request_approved":    {"alice (as bob): access request approved in backup from 10.0.0.1", "Access request approved in app"},
		"access_request_denied":      {"alice (as bob): access request denied in backup from 10.0.0.1", "Access request denied in app"},
		"access_request_revoked":     {"alice (as bob): access request revoked in backup from 10.0.0.1", "Access request revoked in app"},
		"custom_":                    {"alice (as bob): custom event in backup from 10.0.0.1", "Custom event in app"},
		"custom_disk_full":           {"alice (as bob): disk full in backup from 10.0.0.1", "Disk full in app"},
		"custom__":                   {"alice (as bob): custom event in backup from 10.0.0.1", "Custom event in app"},
	}
	for _, action := range rules.EventActions.Values {
		if _, ok := sentences[action]; !ok {
			t.Errorf("nothing is expected of %s", action)
		}
	}
	for action, want := range sentences {
		if got := summarize(fullEvent(action)); got != want.full {
			t.Errorf("%s, full: want %q, got %q", action, want.full, got)
		}
		for _, empty := range []drf.JSON{`{}`, `[]`, `""`, `0`, `{"username":""}`, `{"username":null}`, `{"username":{}}`, `{"username":"  "}`} {
			if got := summarize(&Event{Action: action, App: "app", User: empty, Context: empty, Brand: empty}); got != want.empty {
				t.Errorf("%s, %s: want %q, got %q", action, empty, want.empty, got)
			}
		}
	}
}

func TestSummaryIsTheMessageThatTheEventBrings(t *testing.T) {
	for _, c := range []struct{ context, want string }{
		{`{"message":"Disk full"}`, "Disk full"},
		{`{"a":1,"message":"  kept\n as it\tis  "}`, "  kept\n as it\tis  "},
		{`{"message":"<script>alert(1)</script>"}`, "<script>alert(1)</script>"},
		{`{"message":7}`, "7"},
		{`{"message":{"a":[1]}}`, `{"a":[1]}`},
		{`{"message":false}`, "false"},
		{`{"message":""}`, "Configuration error in backup"},
		{`{"message":" \n "}`, "Configuration error in backup"},
		{`{"Message":"other key"}`, "Configuration error in backup"},
		{`["message"]`, "Configuration error in backup"},
	} {
		for _, action := range []string{"configuration_error", "login", "custom_x"} {
			e := fullEvent(action)
			e.Context = drf.JSON(c.context)
			if got := summarize(e); got != c.want && (action == "configuration_error" || c.want != "Configuration error in backup") {
				t.Errorf("%s %s: want %q, got %q", action, c.context, c.want, got)
			}
		}
	}
}

// TestSummaryOfHostileEventIsOneLine puts text that breaks lines, hides or reverses others into every place that is read.
func TestSummaryOfHostileEventIsOneLine(t *testing.T) {
	for _, hostile := range []string{"a\nb", "a\r\nb", "a\u2028b", "a\u2029b", "a\u0085b", "a\vb\fc", "a\u001b[31mb", "a\u0007\u0001b", "a\u202eb\u2066c", "\n", "\u200b"} {
		text := quote(hostile)
		name := `{"name":` + text + `,"username":` + text + `,"model_name":` + text + `}`
		context := `{"username":` + text + `,"subject":` + text + `,"new_version":` + text
		for _, key := range []string{"secret", "authorized_application", "source", "to", "flow", "binding", "model"} {
			context += `,"` + key + `":` + name
		}
		for _, action := range append(rules.EventActions.Values, "custom_foo") {
			e := &Event{Action: action, App: hostile, User: drf.JSON(`{"username":` + text + `,"on_behalf_of":` + name + `}`), Context: drf.JSON(context + `}`)}
			got := summarize(e)
			if bad := strings.IndexFunc(got, hides); bad >= 0 || strings.TrimSpace(got) != got || got == "" || strings.Contains(got, "  ") {
				t.Errorf("%s with %q: %q", action, hostile, got)
			}
		}
	}
}

// hides reports whether a character breaks a line, or shows text other than it is: controls, and format characters
// such as those that turn the direction of writing.
func hides(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
