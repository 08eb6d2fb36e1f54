package rules

import (
	"fmt"
	"slices"

	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// Subject is what rules look at of an event.
type Subject struct {
	Action              string
	App                 string
	ClientIP            string  // "" for none
	ModelApp, ModelName *string // context.model.app and .model_name
	UserPK              *int64  // user.pk
}

// Match is a rule that an event fires, and who receives it by what.
type Match struct {
	Rule Rule
	// Users are the pks of the active recipients, each once: the event's user first where the rule asks
	// for it, then the members of the group in ascending order. Empty when there is nobody to tell.
	Users []int64
	// Transports are the pks of the rule's transports, ascending.
	Transports []string
}

// Snapshot is all that matching needs, as it was at one moment. It does not change, so that it may be used
// by several goroutines and outside of transactions.
type Snapshot struct {
	// Generation is that of the moment: what was prepared from the snapshot holds as long as identity.Generation says the same.
	Generation int64

	rules     []Rule               // in order of name, then pk
	bindings  map[string][]Binding // by rule; any may pass, so that their order means nothing
	directory *identity.Directory
}

// Load reads a snapshot.
func Load(tx *sqldb.Tx) (*Snapshot, error) {
	var s Snapshot
	var err error
	if s.Generation, err = identity.Generation(tx); err != nil {
		return nil, err
	}
	if s.directory, err = identity.LoadDirectory(tx); err != nil {
		return nil, err
	}
	s.rules, err = sqldb.All(tx, scanRule, `SELECT `+ruleColumns+` FROM rule r ORDER BY r.name, r.pk`)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	if err := readTransports(tx, s.rules); err != nil {
		return nil, err
	}
	matchers, err := loadMatchers(tx)
	if err != nil {
		return nil, err
	}
	if s.bindings, err = loadBindings(tx); err != nil {
		return nil, err
	}
	for _, bindings := range s.bindings {
		for i := range bindings {
			bindings[i].matcher = pick(matchers, bindings[i].PolicyPK)
		}
	}
	return &s, nil
}

// Match answers the rules that the event fires, in order of name, then pk. A rule fires when any of its
// enabled bindings passes; one without such a binding never does.
func (s *Snapshot) Match(e Subject) []Match {
	var matches []Match
	for _, r := range s.rules {
		passes := func(b Binding) bool { return b.Enabled && s.passes(b, e) }
		if slices.ContainsFunc(s.bindings[r.PK], passes) {
			matches = append(matches, Match{Rule: r, Users: s.recipients(r, e), Transports: r.Transports})
		}
	}
	return matches
}

// passes is the result of one binding. An event without a user passes no group and no user.
func (s *Snapshot) passes(b Binding, e Subject) bool {
	var result bool
	switch {
	case b.matcher != nil:
		result = b.matcher.passes(e)
	case b.PolicyPK != nil:
		result = b.OnFailure // an expression: as long as none is run, each is a policy that fails
	case e.UserPK != nil && b.GroupPK != nil:
		result = s.directory.IsMember(*b.GroupPK, *e.UserPK)
	case e.UserPK != nil && b.UserPK != nil:
		result = *b.UserPK == *e.UserPK
	}
	return result != b.Negate
}

// recipients are those who receive an event that r fires on.
func (s *Snapshot) recipients(r Rule, e Subject) []int64 {
	var users []int64
	if r.DestinationEventUser && e.UserPK != nil && s.directory.Active(*e.UserPK) {
		users = append(users, *e.UserPK)
	}
	if r.GroupPK == nil {
		return users
	}
	for _, member := range s.directory.Members(*r.GroupPK) {
		if len(users) == 0 || users[0] != member { // only the event's user can be there already
			users = append(users, member)
		}
	}
	return users
}

// passes reports whether the event has everything that the matcher asks for.
func (m *Matcher) passes(e Subject) bool {
	for _, c := range m.criteria(e) {
		if !c.matched() {
			return false
		}
	}
	return true
}

// criterion is one thing that a matcher may ask for.
type criterion struct {
	name string
	want *string // nil where the matcher does not ask for it
	got  *string // nil where the event does not have it
}

// criteria are what the matcher may ask for, and what the event has of it.
func (m *Matcher) criteria(e Subject) [4]criterion {
	var model *string
	if e.ModelApp != nil && e.ModelName != nil {
		full := *e.ModelApp + "." + *e.ModelName
		model = &full
	}
	return [4]criterion{
		{"Action", m.Action, &e.Action}, {"Client IP", m.ClientIP, &e.ClientIP}, {"App", m.App, &e.App}, {"Model", m.Model, model},
	}
}

// matched reports whether got is what is wanted; what is not wanted is always right.
func (c criterion) matched() bool { return c.want == nil || c.got != nil && *c.got == *c.want }
