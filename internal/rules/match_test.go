package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"

	"pgregory.net/rapid"
)

// directory is that of addPeople: operators are ann, ben and cat, who is not active; leads, below operators, are ben and eve.
func directory(t *testing.T) *identity.Directory {
	t.Helper()
	db := sqldbtest.Open(t, sqldb.Options{})
	if err := db.Write(t.Context(), addPeople); err != nil {
		t.Fatal(err)
	}
	var d *identity.Directory
	err := db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
		d, err = identity.LoadDirectory(tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ptr[T any](v T) *T { return &v }

var login = Subject{
	Action: "login", App: "authentik.core", ClientIP: "10.0.0.1",
	ModelApp: ptr("authentik_core"), ModelName: ptr("user"), UserPK: ptr(ann),
	Input: script.Input{Event: &script.Event{Action: "login"}, User: &script.User{PK: ann, Username: "ann"}},
}

// match are the rules that the event fires by the snapshot.
func match(t *testing.T, s *Snapshot, e Subject) []Match {
	t.Helper()
	matches, _, err := s.Match(t.Context(), script.NewRunner(), e)
	if err != nil {
		t.Fatal(err)
	}
	return matches
}

func TestMatcherPassesWhatHasAllThatItAsksFor(t *testing.T) {
	for _, test := range []struct {
		name    string
		matcher Matcher
		event   Subject
		want    bool
	}{
		{"nothing asked", Matcher{}, login, true},
		{"nothing asked of an empty event", Matcher{}, Subject{}, true},
		{"action", Matcher{Action: ptr("login")}, login, true},
		{"another action", Matcher{Action: ptr("logout")}, login, false},
		{"the beginning of an action", Matcher{Action: ptr("login")}, Subject{Action: "login_failed"}, false},
		{"custom_ is no prefix", Matcher{Action: ptr("custom_")}, Subject{Action: "custom_disk"}, false},
		{"a custom action", Matcher{Action: ptr("custom_disk")}, Subject{Action: "custom_disk"}, true},
		{"address", Matcher{ClientIP: ptr("10.0.0.1")}, login, true},
		{"another address", Matcher{ClientIP: ptr("10.0.0.10")}, login, false},
		{"the same address in other letters", Matcher{ClientIP: ptr("::FFFF")}, Subject{ClientIP: "::ffff"}, false},
		{"address of an event without one", Matcher{ClientIP: ptr("10.0.0.1")}, Subject{}, false},
		{"app", Matcher{App: ptr("authentik.core")}, login, true},
		{"an app's module", Matcher{App: ptr("authentik.core")}, Subject{App: "authentik.core.api"}, false},
		{"model", Matcher{Model: ptr("authentik_core.user")}, login, true},
		{"another model of the app", Matcher{Model: ptr("authentik_core.group")}, login, false},
		{"model of an event without one", Matcher{Model: ptr("authentik_core.user")}, Subject{}, false},
		{"model without a name", Matcher{Model: ptr("authentik_core.user")}, Subject{ModelApp: ptr("authentik_core.user")}, false},
		{"model without an app", Matcher{Model: ptr("authentik_core.user")}, Subject{ModelName: ptr("authentik_core.user")}, false},
		{"all", Matcher{Action: ptr("login"), ClientIP: ptr("10.0.0.1"), App: ptr("authentik.core"), Model: ptr("authentik_core.user")}, login, true},
		{"all but the action", Matcher{Action: ptr("logout"), ClientIP: ptr("10.0.0.1"), App: ptr("authentik.core"), Model: ptr("authentik_core.user")}, login, false},
		{"all but the address", Matcher{Action: ptr("login"), ClientIP: ptr("10.0.0.2"), App: ptr("authentik.core"), Model: ptr("authentik_core.user")}, login, false},
		{"all but the app", Matcher{Action: ptr("login"), ClientIP: ptr("10.0.0.1"), App: ptr("authentik.events"), Model: ptr("authentik_core.user")}, login, false},
		{"all but the model", Matcher{Action: ptr("login"), ClientIP: ptr("10.0.0.1"), App: ptr("authentik.core"), Model: ptr("authentik_core.token")}, login, false},
	} {
		if got := test.matcher.passes(test.event); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestRuleFiresWhenAnyEnabledBindingPasses(t *testing.T) {
	people := directory(t)
	yes := Binding{Enabled: true, matcher: &Matcher{}}
	no := Binding{Enabled: true, matcher: &Matcher{Action: ptr("never")}}
	not := func(b Binding) Binding { b.Negate = true; return b }
	off := func(b Binding) Binding { b.Enabled = false; return b }
	expression := func(source string) Binding {
		e := ExpressionPolicy{Expression: source}
		return Binding{Enabled: true, PolicyPK: ptr("e"), expression: e.prepare()}
	}
	fails, failsOpen := expression(`return 1 // 0`), expression(`return 1 // 0`)
	failsOpen.OnFailure = true
	group := Binding{Enabled: true, GroupPK: ptr(operators)}
	user := Binding{Enabled: true, UserPK: ptr(ann)}
	by := func(pk int64) Subject { return Subject{UserPK: &pk} }
	for _, test := range []struct {
		name     string
		bindings []Binding
		event    Subject
		want     bool
	}{
		{"no binding", nil, login, false},
		{"a binding that passes", []Binding{yes}, login, true},
		{"a binding that does not", []Binding{no}, login, false},
		{"negated", []Binding{not(yes)}, login, false},
		{"negated that does not pass", []Binding{not(no)}, login, true},
		{"disabled", []Binding{off(yes)}, login, false},
		{"disabled and negated", []Binding{off(not(no))}, login, false},
		{"one of two, the first", []Binding{yes, no}, login, true},
		{"one of two, the last", []Binding{no, yes}, login, true},
		{"none of two", []Binding{no, not(yes)}, login, false},
		{"only the disabled one of two", []Binding{no, off(yes)}, login, false},
		{"an expression that passes", []Binding{expression(`return request.context["event"].action == "login"`)}, login, true},
		{"an expression that does not", []Binding{expression(`return request.context["event"].action == "logout"`)}, login, false},
		{"an expression that returns nothing", []Binding{expression(`ak_message("hm")`)}, login, false},
		{"an expression, negated", []Binding{not(expression(`return False`))}, login, true},
		{"an expression about the user", []Binding{expression(`return request.user.username == "ann"`)}, login, true},
		{"an expression about nobody", []Binding{expression(`return request.user.username`)}, Subject{Input: script.Input{Event: &script.Event{}}}, true},
		{"an expression that cannot be compiled", []Binding{expression(`return (`)}, login, false},
		{"an expression that fails", []Binding{fails}, login, false},
		{"an expression that fails, negated", []Binding{not(fails)}, login, true},
		{"an expression whose failure passes", []Binding{failsOpen}, login, true},
		{"an expression whose failure passes, negated", []Binding{not(failsOpen)}, login, false},
		{"a matcher does not fail", []Binding{{Enabled: true, matcher: no.matcher, PolicyPK: ptr("m"), OnFailure: true}}, login, false},
		{"group of the event's user", []Binding{group}, by(ann), true},
		{"group of an inactive user", []Binding{group}, by(cat), true},
		{"group above the user's", []Binding{group}, by(eve), true},
		{"group of others", []Binding{group}, by(dan), false},
		{"group of nobody", []Binding{group}, Subject{}, false},
		{"group of a user who does not exist", []Binding{group}, by(99), false},
		{"not a group", []Binding{not(group)}, by(dan), true},
		{"not a group, for nobody", []Binding{not(group)}, Subject{}, true},
		{"the user", []Binding{user}, by(ann), true},
		{"another user", []Binding{user}, by(ben), false},
		{"user of nobody", []Binding{user}, Subject{}, false},
		{"not the user", []Binding{not(user)}, by(ben), true},
		{"not the user, for nobody", []Binding{not(user)}, Subject{}, true},
	} {
		s := Snapshot{rules: []Rule{{PK: "r"}}, bindings: map[string][]Binding{"r": test.bindings}, directory: people}
		if got := len(match(t, &s, test.event)) == 1; got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestRecipientsAreActiveAndCountOnce(t *testing.T) {
	people := directory(t)
	group := func(pk string) Rule { return Rule{GroupPK: &pk} }
	and := func(r Rule) Rule { r.DestinationEventUser = true; return r }
	for _, test := range []struct {
		name string
		rule Rule
		user *int64
		want []int64
	}{
		{"no group", Rule{}, ptr(ann), nil},
		{"members, not the inactive one", group(operators), nil, []int64{ann, ben}},
		{"members of the group only, not of those below", group(leads), nil, []int64{ben, eve}},
		{"a group that is gone", group(nobody), nil, nil},
		{"the event's user is not told unasked", group(leads), ptr(dan), []int64{ben, eve}},
		{"the event's user", and(Rule{}), ptr(dan), []int64{dan}},
		{"the event's user first", and(group(operators)), ptr(dan), []int64{dan, ann, ben}},
		{"the event's user once, though the first member", and(group(operators)), ptr(ann), []int64{ann, ben}},
		{"the event's user once, though the last member", and(group(operators)), ptr(ben), []int64{ben, ann}},
		{"the event's user is inactive", and(group(operators)), ptr(cat), []int64{ann, ben}},
		{"the event's user does not exist", and(Rule{}), ptr(int64(99)), nil},
		{"the event has no user", and(group(leads)), nil, []int64{ben, eve}},
	} {
		s := Snapshot{
			rules:     []Rule{test.rule},
			bindings:  map[string][]Binding{"": {{Enabled: true, matcher: &Matcher{}}}},
			directory: people,
		}
		matches := match(t, &s, Subject{UserPK: test.user})
		if len(matches) != 1 || !slices.Equal(matches[0].Users, test.want) {
			t.Errorf("%s: %+v", test.name, matches)
		}
	}
}

// What is in the database is what is matched, in order of the rules' names.
func TestLoadedSnapshotMatchesByNameThenPK(t *testing.T) {
	each(t, func(c *client) {
		matcher := c.create("/matchers/", `{"name":"logins","action":"login"}`)
		other := c.create("/matchers/", `{"name":"logouts","action":"logout"}`)
		for name, fields := range map[string]string{
			"b": `"severity":"alert","group":"` + operators + `","transports":["` + mail + `","` + inbox + `"]`,
			"a": `"group":"` + leads + `","destination_event_user":true`,
			"c": `"severity":"warning"`,
			"d": `"severity":"warning"`,
		} {
			rule := c.create("/rules/", `{"name":"`+name+`",`+fields+`}`)
			switch name {
			case "c":
				c.create("/bindings/", `{"target":"`+rule+`","policy":"`+other+`","order":0}`)
			case "d":
				c.create("/bindings/", `{"target":"`+rule+`","policy":"`+matcher+`","order":0,"enabled":false}`)
				c.create("/bindings/", `{"target":"`+rule+`","policy":"`+other+`","order":0,"negate":true}`)
			default:
				c.create("/bindings/", `{"target":"`+rule+`","policy":"`+matcher+`","order":0}`)
			}
		}
		var s *Snapshot
		err := c.db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
			s, err = Load(tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range match(t, s, Subject{Action: "login", UserPK: ptr(dan)}) {
			got = append(got, fmt.Sprint(m.Rule.Name, " ", m.Rule.Severity, " ", m.Users, " ", m.Transports))
		}
		want := []string{
			"a notice [4 2 5] []",
			"b alert [1 2] [" + inbox + " " + mail + "]",
			"d warning [] []",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// The same decision, written the other way round: over events that a binding lets through rather than over conditions that hold.
func naiveMatch(rules []Rule, bindings map[string][]Binding, members map[string][]int64, active []int64, e Subject) []string {
	var fired []string
	for _, r := range rules {
		fires := false
		for _, b := range bindings[r.PK] {
			differs := false
			if m := b.matcher; m != nil {
				model := "?"
				if e.ModelApp != nil && e.ModelName != nil {
					model = strings.Join([]string{*e.ModelApp, *e.ModelName}, ".")
				}
				for _, pair := range [][2]string{
					{deref(m.Action, e.Action), e.Action}, {deref(m.App, e.App), e.App},
					{deref(m.ClientIP, e.ClientIP), e.ClientIP}, {deref(m.Model, model), model},
				} {
					differs = differs || pair[0] != pair[1]
				}
			}
			if b.GroupPK != nil {
				differs = e.UserPK == nil || !slices.Contains(members["within "+*b.GroupPK], *e.UserPK)
			}
			if b.UserPK != nil {
				differs = e.UserPK == nil || *b.UserPK != *e.UserPK
			}
			if b.Enabled && differs == b.Negate {
				fires = true
			}
		}
		if !fires {
			continue
		}
		var users []int64
		candidates := []int64{}
		if r.DestinationEventUser && e.UserPK != nil {
			candidates = append(candidates, *e.UserPK)
		}
		if r.GroupPK != nil {
			candidates = append(candidates, members[*r.GroupPK]...)
		}
		for _, pk := range candidates {
			if slices.Contains(active, pk) && !slices.Contains(users, pk) {
				users = append(users, pk)
			}
		}
		fired = append(fired, fmt.Sprint(r.PK, users, r.Transports))
	}
	return fired
}

func deref(p *string, otherwise string) string {
	if p == nil {
		return otherwise
	}
	return *p
}

func TestMatchAgreesWithTheNaiveFormulation(t *testing.T) {
	people := directory(t)
	members := map[string][]int64{
		operators: {ann, ben, cat}, leads: {ben, eve},
		"within " + operators: {ann, ben, cat, eve}, "within " + leads: {ben, eve},
	}
	active := []int64{ann, ben, dan, eve}
	rapid.Check(t, func(rt *rapid.T) {
		maybe := func(label string, values ...string) *string {
			if v := rapid.SampledFrom(append(values, "")).Draw(rt, label); v != "" {
				return &v
			}
			return nil
		}
		maybeUser := func(label string) *int64 {
			if v := rapid.Int64Range(0, 6).Draw(rt, label); v != 0 {
				return &v
			}
			return nil
		}
		flag := func(label string) bool { return rapid.Bool().Draw(rt, label) }
		s := Snapshot{bindings: map[string][]Binding{}, directory: people}
		for i := range rapid.IntRange(0, 4).Draw(rt, "rules") {
			r := Rule{PK: fmt.Sprint("r", i), GroupPK: maybe("group", operators, leads, nobody),
				DestinationEventUser: flag("event user"), Transports: []string{fmt.Sprint("t", i)}}
			s.rules = append(s.rules, r)
			for range rapid.IntRange(0, 4).Draw(rt, "bindings") {
				b := Binding{Enabled: flag("enabled"), Negate: flag("negate")}
				switch rapid.IntRange(0, 2).Draw(rt, "subject") {
				case 0:
					b.matcher = &Matcher{Action: maybe("action", "x", "y"), App: maybe("app", "x", "y"),
						ClientIP: maybe("ip", "x", "y"), Model: maybe("model", "x.y", "y.x")}
				case 1:
					b.GroupPK = ptr(rapid.SampledFrom([]string{operators, leads}).Draw(rt, "bound group"))
				case 2:
					b.UserPK = ptr(rapid.Int64Range(1, 5).Draw(rt, "bound user"))
				}
				s.bindings[r.PK] = append(s.bindings[r.PK], b)
			}
		}
		text := rapid.SampledFrom([]string{"x", "y", "z"})
		e := Subject{Action: text.Draw(rt, "event action"), App: text.Draw(rt, "event app"), ClientIP: text.Draw(rt, "event ip"),
			ModelApp: maybe("model app", "x", "y"), ModelName: maybe("model name", "x", "y"), UserPK: maybeUser("event user")}
		var got []string
		for _, m := range match(t, &s, e) {
			got = append(got, fmt.Sprint(m.Rule.PK, m.Users, m.Transports))
		}
		if want := naiveMatch(s.rules, s.bindings, members, active, e); !slices.Equal(got, want) {
			rt.Fatalf("got %v, want %v", got, want)
		}
	})
}
