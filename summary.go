package main

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"belfry/internal/drf"
)

// facts are what a summary can say of an event: names that were found in it, "" where there is none.
type facts struct {
	actor  string // who did it
	who    string // the same, or somebody
	whom   string // whom the context names, or the actor
	from   string // " from 10.0.0.1"
	app    string
	object string // "application Grafana"
	custom string // what follows custom_
	detail func(keys ...string) string
}

// sentences says in one line what happened, for every action that says more than its name.
var sentences = map[string]func(f facts) string{
	"login":              func(f facts) string { return f.who + " logged in" + f.from },
	"login_failed":       func(f facts) string { return or(f.whom, f.who) + " failed to log in" + f.from },
	"logout":             func(f facts) string { return f.who + " logged out" + f.from },
	"user_write":         func(f facts) string { return upper(theOr("user", f.whom)) + " was written" + f.from },
	"user_offboarded":    func(f facts) string { return upper(theOr("user", f.whom)) + " was offboarded" },
	"suspicious_request": func(f facts) string { return "Suspicious request" + f.from },
	"password_set":       func(f facts) string { return f.who + " set a password" + f.from },
	"secret_view": func(f facts) string {
		return f.who + " viewed " + theOr("secret", prefixed("of ", f.detail("secret", "name"))) + f.from
	},
	"secret_rotate": func(f facts) string {
		return upper(theOr("secret", prefixed("of ", f.detail("secret", "name")))) + " was rotated"
	},
	"invitation_used": func(f facts) string { return f.who + " used an invitation" + f.from },
	"authorize_application": func(f facts) string {
		return f.who + " authorized " + or(f.detail("authorized_application", "name"), "an application") + f.from
	},
	"source_linked": func(f facts) string { return f.who + " linked " + theOr("source", f.detail("source", "name")) + f.from },
	"impersonation_started": func(f facts) string {
		return f.who + " began to impersonate " + or(f.detail("to", "username"), "somebody") + f.from
	},
	"impersonation_ended": func(f facts) string {
		return f.who + " stopped impersonating " + or(f.detail("to", "username"), "somebody")
	},
	"flow_execution":   func(f facts) string { return f.who + " ran " + theOr("flow", f.detail("flow", "name")) },
	"policy_execution": func(f facts) string { return "A policy was evaluated" + prefixed(": ", f.detail("binding", "name")) },
	"policy_exception": func(f facts) string { return "A policy failed" + prefixed(": ", f.detail("binding", "name")) },
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
	"email_sent":            func(f facts) string { return "An e-mail was sent" + prefixed(": ", f.detail("subject")) },
	"update_available": func(f facts) string {
		return or(prefixed("Version ", f.detail("new_version")), "A new version") + " is available"
	},
	"export_ready": func(f facts) string { return "An export is ready" + prefixed(" for ", f.actor) },
	"custom_":      func(f facts) string { return f.named(or(f.custom, "custom event")) },
}

// summarize says in one line a person likes to read what happened. A message that the event brings counts first.
func summarize(e *Event) string {
	message := e.Context.Member("message")
	said, ok := message.Text()
	if !ok {
		said = string(message)
	}
	if strings.TrimSpace(said) != "" {
		return said
	}
	f := factsOf(e)
	if say, ok := sentences[e.Action]; ok {
		return say(f)
	}
	if name, ok := strings.CutPrefix(e.Action, "custom_"); ok {
		f.custom = words(name)
		return sentences["custom_"](f)
	}
	return f.named(words(e.Action))
}

// named says of an action no more than its name.
func (f facts) named(action string) string {
	if f.actor == "" {
		return upper(action) + " in " + f.app + f.from
	}
	return f.actor + ": " + action + " in " + f.app + f.from
}

// factsOf gathers what an event says of people, places and things.
func factsOf(e *Event) facts {
	name := value(e.User.Member("username"))
	f := facts{actor: name, whom: or(value(e.Context.Member("username")), name), app: or(oneLine(e.App), "an app without a name")}
	if behalf := value(e.User.Member("on_behalf_of").Member("username")); behalf != "" {
		f.actor = or(name, "Somebody") + " (as " + behalf + ")"
	}
	f.who = or(f.actor, "Somebody")
	if e.ClientIP != nil {
		f.from = " from " + *e.ClientIP
	}
	f.detail = func(keys ...string) string {
		found := e.Context
		for _, key := range keys {
			found = found.Member(key)
		}
		return value(found)
	}
	f.object = modelName(e.Context.Member("model"))
	return f
}

// modelWords are the words for models whose names run together.
var modelWords = map[string]string{
	"notificationrule": "notification rule", "notificationtransport": "notification transport",
	"notificationwebhookmapping": "webhook mapping", "eventmatcherpolicy": "event matcher",
	"expressionpolicy": "expression policy", "policybinding": "binding",
}

// modelName names a model that a context describes: the application "Grafana".
func modelName(model drf.JSON) string {
	kind, name := value(model.Member("model_name")), value(model.Member("name"))
	kind = or(modelWords[kind], words(kind))
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
func value(j drf.JSON) string {
	s, _ := j.Text()
	return oneLine(s)
}

// oneLine is text that cannot look like more than it is: what breaks lines or steers a terminal becomes a space,
// and what turns the direction of writing is dropped.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// words turns a name into words: some_thing is "some thing".
func words(name string) string { return oneLine(strings.ReplaceAll(name, "_", " ")) }

// or is s, or otherwise where s is empty.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// prefixed is prefix and s, or nothing where s is empty.
func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// theOr is "the kind NAME", or "a kind" where there is no name.
func theOr(kind, name string) string { return or(prefixed("the "+kind+" ", name), "a "+kind) }

// upper is s as it begins a sentence.
func upper(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
