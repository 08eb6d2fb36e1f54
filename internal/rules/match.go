package rules

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// Subject is what rules look at of an event.
type Subject struct {
	Action              string
	App                 string
	ClientIP            string  // "" for none
	ModelApp, ModelName *string // context.model.app and .model_name
	UserPK              *int64  // user.pk
	// Input is what expressions see; it is looked at only where there are any (see [Snapshot.Scripted]).
	Input script.Input
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
	bindings  map[string][]Binding // by rule, in their order
	scripted  bool
	directory *identity.Directory
}

// Load reads a snapshot. Expressions are not compiled before they are run.
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
	return &s, s.loadBindings(tx)
}

// loadBindings reads the bindings with their policies.
func (s *Snapshot) loadBindings(tx *sqldb.Tx) (err error) {
	if s.bindings, err = loadBindings(tx); err != nil {
		return err
	}
	matchers, err := loadMatchers(tx)
	if err != nil {
		return err
	}
	expressions, err := loadExpressions(tx)
	if err != nil {
		return err
	}
	for _, r := range s.rules {
		for i := range s.bindings[r.PK] {
			b := &s.bindings[r.PK][i]
			b.rule = r.Name
			if b.PolicyPK == nil {
				continue
			}
			b.matcher, b.expression = matchers[*b.PolicyPK], expressions[*b.PolicyPK]
			b.policy = b.asked()
			s.scripted = s.scripted || b.Enabled && b.expression != nil
		}
		slices.SortFunc(s.bindings[r.PK], func(a, b Binding) int {
			return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.PK, b.PK))
		})
	}
	return nil
}

// Directory is who there was at the snapshot's moment.
func (s *Snapshot) Directory() *identity.Directory { return s.directory }

// Scripted reports whether an expression may be run, so that subjects need an Input.
func (s *Snapshot) Scripted() bool { return s.scripted }

// Match answers the rules that the event fires, in order of name, then pk, and the executions of policies that the log is
// to tell of. A rule fires when any of its enabled bindings passes, which are asked in their order up to that one; one without
// such a binding never does. Expressions are run: that takes time, and has no place in a transaction. The error is
// ctx's or [script.ErrBusy].
func (s *Snapshot) Match(ctx context.Context, runner *script.Runner, e Subject) ([]Match, []Execution, error) {
	var matches []Match
	ask := newEvaluation(ctx, runner, e, s.directory)
	for _, r := range s.rules {
		passed, err := ask.anyOf(s.bindings[r.PK])
		if err != nil {
			return nil, nil, err
		}
		if passed {
			matches = append(matches, Match{Rule: r, Users: s.recipients(r, e), Transports: r.Transports})
		}
	}
	return matches, ask.executions, nil
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
