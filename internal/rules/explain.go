package rules

import (
	"context"
	"fmt"
	"slices"

	"belfry/internal/script"
)

// Explanation is what a rule makes of an event, and why.
type Explanation struct {
	Rule      Rule
	Matched   bool
	Why       string // why it does not match; "" where it does
	DecidedBy string // the pk of the first binding that passes; "" for none
	Bindings  []BindingResult
	Users     []int64 // who receives the event, or would if the rule matched; see [Match]
	Nobody    string  // why there is nobody; "" where there is
}

// BindingResult is what one binding makes of an event. A disabled one is not asked.
type BindingResult struct {
	Binding
	Verdict
	Subject string // what it ties to the rule: Policy x, Group x or User x
	Result  bool   // what counts: the verdict, or the result of a failure, negated where the binding says so
}

// Explain says of every rule, or of the one with the given pk only, what it makes of the event and why. All enabled bindings are asked.
// The error is ctx's or [script.ErrBusy]; what is explained by then is answered beside it.
func (s *Snapshot) Explain(ctx context.Context, runner *script.Runner, e Subject, rulePK string) ([]Explanation, error) {
	var all []Explanation
	ask := newEvaluation(ctx, runner, e, s.directory)
	for _, r := range s.rules {
		if rulePK != "" && r.PK != rulePK {
			continue
		}
		x, err := s.explain(ask, r)
		if err != nil {
			return all, err
		}
		all = append(all, x)
	}
	return all, nil
}

// Rule is the rule with the pk, if there is one.
func (s *Snapshot) Rule(pk string) (Rule, bool) {
	i := slices.IndexFunc(s.rules, func(r Rule) bool { return r.PK == pk })
	if i < 0 {
		return Rule{}, false
	}
	return s.rules[i], true
}

func (s *Snapshot) explain(ask *evaluation, r Rule) (Explanation, error) {
	x := Explanation{Rule: r, Users: s.recipients(r, ask.subject)}
	enabled := 0
	for _, b := range s.bindings[r.PK] {
		result := BindingResult{Binding: b, Subject: s.subjectOf(&b)}
		if b.Enabled {
			enabled++
			var err error
			if result.Verdict, result.Result, err = ask.binding(&b); err != nil {
				return x, err
			}
			result.Messages = slices.Concat(result.Messages, ask.reasons(&b, result.Subject))
			if result.Result && !x.Matched {
				x.Matched, x.DecidedBy = true, b.PK
			}
		}
		x.Bindings = append(x.Bindings, result)
	}
	switch {
	case x.Matched:
	case len(x.Bindings) == 0:
		x.Why = "The rule has no binding."
	case enabled == 0:
		x.Why = "No binding of the rule is enabled."
	default:
		x.Why = "No binding passes."
	}
	if len(x.Users) == 0 {
		x.Nobody = s.nobody(r, ask.subject)
	}
	return x, nil
}

// subjectOf is what a binding ties to its rule.
func (s *Snapshot) subjectOf(b *Binding) string {
	switch {
	case b.policy != nil:
		return "Policy " + b.policy.Name
	case b.GroupPK != nil:
		return "Group " + s.directory.GroupName(*b.GroupPK)
	case b.UserPK != nil:
		p, _ := s.directory.Person(*b.UserPK)
		return "User " + p.Username
	}
	return ""
}

// reasons are why a binding says what it says, where its verdict does not tell.
func (v *evaluation) reasons(b *Binding, subject string) []string {
	switch {
	case b.matcher != nil && !b.matcher.ExecutionLogging:
		return b.matcher.test(v.subject).Messages
	case b.PolicyPK != nil:
		return nil
	case v.subject.UserPK == nil:
		return []string{"The event has no user."}
	}
	p, known := v.directory.Person(*v.subject.UserPK)
	if !known {
		return []string{fmt.Sprintf("There is no user with the key %d, which is the event's.", *v.subject.UserPK)}
	}
	return []string{fmt.Sprintf("The user of the event is %s; the binding is to %s.", p.Username, subject)}
}

// nobody says why a rule has no recipients.
func (s *Snapshot) nobody(r Rule, e Subject) string {
	why := "The rule has no group."
	if r.GroupPK != nil {
		name, size := s.directory.GroupName(*r.GroupPK), s.directory.Size(*r.GroupPK)
		why = fmt.Sprintf("The group %s has no members of its own.", name)
		if size > 0 {
			why = fmt.Sprintf("None of the %d members of the group %s is active.", size, name)
		}
	}
	switch {
	case !r.DestinationEventUser:
	case e.UserPK == nil:
		why += " The event has no user."
	default:
		why += " The user of the event does not exist or is not active."
	}
	return why
}

// Rules are all rules of the moment, in order of name, then pk.
func (s *Snapshot) Rules() []Rule { return slices.Clone(s.rules) }

// Warnings say why a rule can never fire, or why it tells nobody when it does, whatever happens; none of one that may.
func (s *Snapshot) Warnings(r Rule) (warnings []string) {
	bindings := s.bindings[r.PK]
	switch {
	case len(bindings) == 0:
		warnings = append(warnings, "It never fires: nothing is bound to it.")
	case !slices.ContainsFunc(bindings, func(b Binding) bool { return b.Enabled }):
		warnings = append(warnings, "It never fires: none of its bindings is enabled.")
	}
	switch {
	case r.DestinationEventUser:
	case r.GroupPK == nil:
		warnings = append(warnings, "It tells nobody: it has no group.")
	case len(s.directory.Members(*r.GroupPK)) == 0:
		warnings = append(warnings, fmt.Sprintf("It tells nobody: the group %s has no active members of its own.", s.directory.GroupName(*r.GroupPK)))
	}
	return warnings
}
