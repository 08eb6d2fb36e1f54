package main

import (
	"encoding/json"
	"strings"

	"belfry/internal/drf"
)

// facts are what a summary can say of an event: names that were found in it, "" where there is none.
type facts struct {
	who    string // who did it
	whom   string // whom the context names
	from   string // " from 10.0.0.1"
	app    string
	object string // "application Grafana"
	custom string // what follows custom_
	detail func(keys ...string) string
}

// sentences says in one line what happened, for every action that says more than its name.
var sentences = map[string]func(f facts) string{
	"login":        func(f facts) string { return f.who + " logged in" + f.from },
	"login_failed": func(f facts) string { return or(f.whom, f.who) + " failed to log in" + f.from },
	"logout":       func(f facts) string { return f.who + " logged out" + f.from },
	"user_write":   func(f facts) string { return "The user " + or(f.whom, f.who) + " was written" + f.from },
	"user_offboarded": func(f facts) string {
		return "The user " + or(f.whom, f.who) + " was offboarded"
	},
	"suspicious_request": func(f facts) string { return "Suspicious request" + f.from },
	"password_set":       func(f facts) string { return f.who + " set a password" + f.from },
	"secret_view":        func(f facts) string { return f.who + " viewed the secret" + of(f.detail("secret", "name")) + f.from },
	"secret_rotate":      func(f facts) string { return "The secret" + of(f.detail("secret", "name")) + " was rotated" },
	"invitation_used":    func(f facts) string { return f.who + " used an invitation" + f.from },
	"authorize_application": func(f facts) string {
		return f.who + " authorized " + or(f.detail("authorized_application", "name"), "an application") + f.from
	},
	"source_linked": func(f facts) string { return f.who + " linked the source" + space(f.detail("source", "name")) + f.from },
	"impersonation_started": func(f facts) string {
		return f.who + " began to impersonate " + or(f.detail("to", "username"), "somebody") + f.from
	},
	"impersonation_ended": func(f facts) string {
		return f.who + " stopped impersonating " + or(f.detail("to", "username"), "somebody")
	},
	"flow_execution":   func(f facts) string { return f.who + " ran the flow" + space(f.detail("flow", "name")) },
	"policy_execution": func(f facts) string { return "A policy was evaluated" + by(f.detail("binding", "name")) },
	"policy_exception": func(f facts) string { return "A policy failed" + by(f.detail("binding", "name")) },
	"property_mapping_exception": func(f facts) string {
		return "A property mapping failed in " + f.app
	},
	"system_task_execution": func(f facts) string { return "A system task ran in " + f.app },
	"system_task_exception": func(f facts) string { return "A system task failed in " + f.app },
	"system_exception":      func(f facts) string { return "A system exception occurred in " + f.app },
	"configuration_error":   func(f facts) string { return "Configuration error in " + f.app },
	"configuration_warning": func(f facts) string { return "Configuration warning in " + f.app },
	"model_created":         func(f facts) string { return f.who + " created " + f.object },
	"model_updated":         func(f facts) string { return f.who + " changed " + f.object },
	"model_deleted":         func(f facts) string { return f.who + " deleted " + f.object },
	"email_sent":            func(f facts) string { return "An e-mail was sent" + about(f.detail("subject")) },
	"update_available":      func(f facts) string { return "Version " + or(f.detail("new_version"), "unknown") + " is available" },
	"export_ready":          func(f facts) string { return "An export is ready for " + f.who },
	"custom_":               func(f facts) string { return f.who + ": " + or(f.custom, "custom event") + " in " + f.app + f.from },
}

// summarize says in one line a person likes to read what happened. A message that the event brings counts first.
func summarize(e *Event) string {
	context := members(e.Context)
	if raw, ok := context["message"]; ok {
		message := drf.JSON(raw)
		if s := text(raw); s != nil {
			message = drf.JSON(*s)
		}
		if strings.TrimSpace(string(message)) != "" {
			return string(message)
		}
	}
	f := factsOf(e, context)
	if say, ok := sentences[e.Action]; ok {
		return say(f)
	}
	if name, ok := strings.CutPrefix(e.Action, "custom_"); ok {
		f.custom = words(name)
		return sentences["custom_"](f)
	}
	return f.who + ": " + words(e.Action) + " in " + f.app + f.from
}

// factsOf gathers what an event says of people, places and things.
func factsOf(e *Event, context map[string]json.RawMessage) facts {
	user := members(e.User)
	f := facts{who: or(value(user["username"]), "Somebody"), whom: value(context["username"]), app: e.App}
	if behalf := value(members(drf.JSON(user["on_behalf_of"]))["username"]); behalf != "" {
		f.who += " (as " + behalf + ")"
	}
	if e.ClientIP != nil {
		f.from = " from " + *e.ClientIP
	}
	f.detail = func(keys ...string) string {
		level := context
		for _, key := range keys[:len(keys)-1] {
			level = members(drf.JSON(level[key]))
		}
		return value(level[keys[len(keys)-1]])
	}
	f.object = modelName(members(drf.JSON(context["model"])))
	return f
}

// modelName names a model that a context describes: the application "Grafana".
func modelName(model map[string]json.RawMessage) string {
	kind, name := words(value(model["model_name"])), value(model["name"])
	switch {
	case kind == "" && name == "":
		return "an object"
	case name == "":
		return "the " + kind
	case kind == "":
		return "“" + name + "”"
	}
	return "the " + kind + " “" + name + "”"
}

// value is a JSON string's text on one line, "" for anything else.
func value(raw json.RawMessage) string {
	s := text(raw)
	if s == nil {
		return ""
	}
	return strings.Join(strings.Fields(*s), " ")
}

// words turns a name into words: some_thing is "some thing".
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// or is s, or otherwise where s is empty.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func space(s string) string { return prefixed(" ", s) }
func of(s string) string    { return prefixed(" of ", s) }
func by(s string) string    { return prefixed(": ", s) }
func about(s string) string { return prefixed(": ", s) }

// prefixed is prefix and s, or nothing where s is empty.
func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
