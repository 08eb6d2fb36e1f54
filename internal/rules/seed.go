package rules

import "belfry/internal/sqldb"

// shipped are the rules that authentik ships: each notifies of the actions by a matcher for each.
var shipped = []struct {
	name     string
	matchers []struct{ name, action string }
}{
	{"default-notify-configuration-error", []struct{ name, action string }{
		{"default-match-configuration-error", "configuration_error"},
	}},
	{"default-notify-update", []struct{ name, action string }{
		{"default-match-update", "update_available"},
	}},
	{"default-notify-exception", []struct{ name, action string }{
		{"default-match-policy-exception", "policy_exception"},
		{"default-match-property-mapping-exception", "property_mapping_exception"},
	}},
}

// Seed makes the rules, matchers and bindings that authentik ships. They notify the group by both transports.
func Seed(tx *sqldb.Tx, groupPK, emailPK, localPK string) error {
	for _, s := range shipped {
		all := make([]Matcher, len(s.matchers))
		for i, m := range s.matchers {
			all[i] = MatchAction(m.name, m.action)
		}
		rule := Rule{Name: s.name, Severity: "alert", GroupPK: &groupPK, Transports: []string{emailPK, localPK}}
		if err := Add(tx, rule, all...); err != nil {
			return err
		}
	}
	return nil
}

// MatchAction is a new matcher of the given name that asks for an action.
func MatchAction(name, action string) Matcher {
	m := newMatcher()
	m.Name, m.Action = name, &action
	return m
}

// Add stores a new rule with new matchers that are bound to it, in their order. It is for
// filling a database; nobody is asked, and the generation is the caller's to raise.
func Add(tx *sqldb.Tx, r Rule, matchers ...Matcher) error {
	r.PK, r.Transports = sqldb.NewID(), sortedSet(r.Transports)
	if err := insertRule(tx, &r); err != nil {
		return err
	}
	for i := range matchers {
		m := &matchers[i]
		if err := insertMatcher(tx, m); err != nil {
			return err
		}
		b := newBinding()
		b.PolicyPK, b.TargetPK, b.Order = &m.PK, r.PK, int64(i)
		if err := insertBinding(tx, &b); err != nil {
			return err
		}
	}
	return nil
}
