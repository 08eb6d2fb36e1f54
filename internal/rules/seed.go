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
		r := newRule()
		r.Name, r.Severity, r.GroupPK = s.name, "alert", &groupPK
		r.Transports = sortedSet([]string{emailPK, localPK})
		if err := insertRule(tx, &r); err != nil {
			return err
		}
		for i, want := range s.matchers {
			m := newMatcher()
			m.Name, m.Action = want.name, &want.action
			if err := insertMatcher(tx, &m); err != nil {
				return err
			}
			b := newBinding()
			b.PolicyPK, b.TargetPK, b.Order = &m.PK, r.PK, int64(i)
			if err := insertBinding(tx, &b); err != nil {
				return err
			}
		}
	}
	return nil
}
