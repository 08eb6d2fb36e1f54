package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/google/uuid"

	"belfry/internal/drf"
	"belfry/internal/rules"
)

// demoPeople are the invented users.
var demoPeople = []person{
	{username: "mira.okafor", name: "Mira Okafor"}, {username: "jonas.weber", name: "Jonas Weber"},
	{username: "lucia.ferrari", name: "Lucia Ferrari"}, {username: "tom.becker", name: "Tom Becker"},
	{username: "ada.lindqvist", name: "Ada Lindqvist"}, {username: "sam.ortega", name: "Sam Ortega"},
	{username: "noor.haddad", name: "Noor Haddad"}, {username: "kai.tanaka", name: "Kai Tanaka"},
	{username: "rosa.delgado", name: "Rosa Delgado"},
}

// demoGroups are their groups.
var demoGroups = []struct {
	name    string
	members []string
}{
	{"Operations", []string{"mira.okafor", "jonas.weber"}},
	{"Security", []string{"ada.lindqvist"}},
	{"Helpdesk", []string{"noor.haddad", "sam.ortega", "tom.becker"}},
}

// demoRule is a rule with a matcher for each of its actions; a model narrows the first.
type demoRule struct {
	name, severity, group, model string
	actions                      []string
}

var demoRules = []demoRule{
	{"Somebody guesses", "warning", "Security", "", []string{"suspicious_request"}},
	{"Secrets that were looked at", "notice", "Security", "", []string{"secret_view", "impersonation_started"}},
	{"Applications that are gone", "alert", "Operations", "authentik_core.application", []string{"model_deleted"}},
	{"Tasks that fail", "warning", "Operations", "", []string{"system_task_exception"}},
	{"New passwords", "notice", "Helpdesk", "", []string{"password_set"}},
}

func (r demoRule) matchers() []rules.Matcher {
	all := make([]rules.Matcher, len(r.actions))
	for i := range r.actions {
		all[i] = rules.MatchAction(r.name+": "+r.actions[i], r.actions[i])
	}
	if r.model != "" {
		all[0].Model = &r.model
	}
	return all
}

// Where people are, in ranges that are set apart for examples, and what they use.
var (
	demoOffice       = []string{"192.0.2.10", "192.0.2.11", "192.0.2.24", "192.0.2.57"}
	demoHome         = []string{"198.51.100.7", "198.51.100.91", "203.0.113.20", "2001:db8:4::2a"}
	demoApplications = []string{"Grafana", "Gitea", "Nextcloud", "Wiki", "Ticket desk"}
	demoReasons      = []string{"The SMTP server refused the connection", "The upstream directory did not answer in time", "A worker ran out of memory"}
)

// scene is one kind of everyday event.
type scene struct {
	weight int
	play   func(life *everyday, who person) (action, app string, context map[string]any)
}

var scenes = []scene{
	{30, func(*everyday, person) (string, string, map[string]any) {
		return "login", "authentik.core.auth", map[string]any{"auth_method": "password", "auth_method_args": map[string]any{}}
	}},
	{26, func(life *everyday, _ person) (string, string, map[string]any) {
		return "authorize_application", "authentik.providers.oauth2.views.authorize",
			map[string]any{"authorized_application": model("application", one(life, demoApplications)), "scopes": "openid email profile"}
	}},
	{12, func(*everyday, person) (string, string, map[string]any) {
		return "logout", "authentik.events.signals", map[string]any{}
	}},
	{9, func(_ *everyday, who person) (string, string, map[string]any) {
		return "login_failed", "authentik.events.signals", map[string]any{"username": who.username, "password": drf.Stars}
	}},
	{6, func(_ *everyday, who person) (string, string, map[string]any) {
		return "user_write", "authentik.stages.user_write", map[string]any{"username": who.username, "name": who.name, "created": false}
	}},
	{6, func(life *everyday, _ person) (string, string, map[string]any) {
		return one(life, []string{"model_created", "model_updated", "model_updated", "model_deleted"}), trailApp,
			map[string]any{"model": one(life, []map[string]any{
				model("application", one(life, demoApplications)), model("group", one(life, demoApplications)+" users")})}
	}},
	{4, func(_ *everyday, who person) (string, string, map[string]any) {
		return "email_sent", "authentik.stages.email", map[string]any{"message": "Email to " + who.email() + " sent",
			"subject": "Confirm your address", "from_email": "door@rowan.example", "to_email": []string{who.email()}}
	}},
	{2, func(*everyday, person) (string, string, map[string]any) {
		return "password_set", "authentik.events.signals", map[string]any{}
	}},
	{2, func(life *everyday, _ person) (string, string, map[string]any) {
		return "secret_view", "authentik.core", map[string]any{"secret": model("token", one(life, demoApplications)+" deployment")}
	}},
	{2, func(life *everyday, _ person) (string, string, map[string]any) {
		return "system_task_exception", "authentik.events", map[string]any{"message": one(life, demoReasons)}
	}},
	{1, func(life *everyday, _ person) (string, string, map[string]any) {
		other := one(life, life.people)
		return "impersonation_started", "authentik.core", map[string]any{"to": map[string]any{"pk": other.pk, "username": other.username, "email": other.email()}}
	}},
}

// everyday makes up what people do.
type everyday struct {
	random *rand.Rand
	people []person
}

// one picks one of a list.
func one[T any](life *everyday, list []T) T { return list[life.random.IntN(len(list))] }

// event is anybody doing anything, somewhere.
func (life *everyday) event() Event {
	total := 0
	for _, s := range scenes {
		total += s.weight
	}
	at, who := life.random.IntN(total), one(life, life.people)
	address := one(life, demoOffice)
	if life.random.IntN(4) == 0 {
		address = one(life, demoHome)
	}
	for _, s := range scenes {
		if at -= s.weight; at < 0 {
			action, app, context := s.play(life, who)
			return happened(action, app, context, &who, address)
		}
	}
	panic("demo: the weights of the scenes do not add up")
}

// model is an object as authentik names it in a context. The same name has the same key, wherever it stands.
func model(kind, name string) map[string]any {
	key := uuid.NewSHA1(uuid.Nil, []byte(kind+name))
	return map[string]any{"pk": strings.ReplaceAll(key.String(), "-", ""), "app": "authentik_core", "model_name": kind, "name": name}
}

// happened is an event without its time; who is nil where nobody did it.
func happened(action, app string, context map[string]any, who *person, address string) Event {
	e := Event{User: "{}", Action: action, App: app, Context: drf.JSON(marshal(context)), Brand: fallbackBrand, Origin: OriginSystem}
	if who != nil {
		e.User = drf.JSON(marshal(map[string]any{"pk": who.pk, "username": who.username, "email": who.email()}))
	}
	if address != "" {
		e.ClientIP = &address
	}
	return e
}

// story is what a person finds who looks: an update, a disk that fills up, and somebody who guesses passwords.
func (life *everyday) story(now int64) (events []Event) {
	add := func(age int64, e Event) {
		e.Created = now - age
		events = append(events, e)
	}
	message := func(text string) map[string]any { return map[string]any{"message": text} }
	add(16*dayMicros, happened("update_available", "authentik.admin.tasks", map[string]any{"new_version": "2024.6.3"}, nil, ""))
	for i, percent := range []int{82, 87, 91, 96} {
		add(int64(9-2*i)*dayMicros+7*hourMicros,
			happened("configuration_error", "backup", message(fmt.Sprintf("The disk of the backups is %d %% full", percent)), nil, ""))
	}
	const guesser = "203.0.113.66"
	for i := range int64(14) {
		add(50*hourMicros-i*20*secondMicros, happened("login_failed", "authentik.events.signals",
			map[string]any{"username": "admin", "password": drf.Stars}, nil, guesser))
	}
	add(50*hourMicros-300*secondMicros, happened("suspicious_request", "authentik.stages.password",
		message("14 wrong passwords for “admin” within five minutes from "+guesser), nil, guesser))
	add(26*hourMicros, happened("policy_exception", "authentik.policies",
		message("The policy “office hours only” failed: no such time zone"), &life.people[0], demoOffice[0]))
	add(90*60*secondMicros, happened("configuration_error", "backup", message("The backup of last night did not finish"), nil, ""))
	return events
}
