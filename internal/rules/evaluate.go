package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/trail"
)

// Verdict is what a policy says of an event.
type Verdict struct {
	Passing  bool
	Messages []string // why: by criterion, or what an expression gave to ak_message
	Failure  string   // why the policy could say nothing, with its place in the expression; "" where it could
}

// Execution is an asking of a policy that the log is to tell of: one that failed, or whose policy wants that.
type Execution struct {
	Verdict
	Policy  trail.Change // which it was; nothing was done to it
	Binding trail.Change // the first one that asked, likewise
}

// evaluation asks policies about one event, each once.
type evaluation struct {
	ctx        context.Context
	runner     *script.Runner
	subject    Subject
	directory  *identity.Directory
	verdicts   map[string]Verdict // by policy, of those that are not asked again
	executions []Execution
}

func newEvaluation(ctx context.Context, runner *script.Runner, e Subject, d *identity.Directory) *evaluation {
	return &evaluation{ctx: ctx, runner: runner, subject: e, directory: d, verdicts: map[string]Verdict{}}
}

// anyOf reports whether an enabled binding passes. The bindings after it are not asked.
func (v *evaluation) anyOf(bindings []Binding) (bool, error) {
	for i := range bindings {
		if !bindings[i].Enabled {
			continue
		}
		if _, passed, err := v.binding(&bindings[i]); passed || err != nil {
			return passed, err
		}
	}
	return false, nil
}

// binding is the result of one binding and the verdict that it comes of. An event without a user passes no group and no user.
func (v *evaluation) binding(b *Binding) (Verdict, bool, error) {
	var said Verdict
	var err error
	switch user := v.subject.UserPK; {
	case b.matcher != nil || b.expression != nil:
		said, err = v.policy(b)
	case user != nil && b.GroupPK != nil:
		said.Passing = v.directory.IsMember(*b.GroupPK, *user)
	case user != nil && b.UserPK != nil:
		said.Passing = *b.UserPK == *user
	}
	result := said.Passing
	if said.Failure != "" {
		result = b.OnFailure
	}
	return said, result != b.Negate, err
}

// policy asks the policy of a binding, or answers what it said before. A matcher that leaves no trace is just asked again.
func (v *evaluation) policy(b *Binding) (Verdict, error) {
	if b.matcher != nil && !b.matcher.ExecutionLogging {
		return Verdict{Passing: b.matcher.passes(v.subject)}, nil
	}
	if said, asked := v.verdicts[*b.PolicyPK]; asked {
		return said, nil
	}
	said, err := v.ask(b)
	if err != nil {
		return said, err
	}
	v.verdicts[*b.PolicyPK] = said
	if said.Failure != "" || b.asked().ExecutionLogging {
		v.executions = append(v.executions, Execution{Verdict: said, Policy: b.policyObject(), Binding: bindingKind.Object(b)})
	}
	return said, nil
}

// ask runs the policy of a binding, an expression within the binding's time.
func (v *evaluation) ask(b *Binding) (Verdict, error) {
	if b.matcher != nil {
		return b.matcher.test(v.subject), nil
	}
	ctx := v.ctx
	if b.Timeout > 0 { // none of its own: the runner's limits hold in any case
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(b.Timeout)*time.Second,
			fmt.Errorf("the binding's timeout of %d s passed before the expression was done", b.Timeout))
		defer cancel()
	}
	said, err := b.expression.run(ctx, v.runner, v.subject.Input)
	return said, cmp.Or(v.ctx.Err(), err)
}

// run runs the expression. It fails by what is wrong with it, or because ctx ended; the error is [script.ErrBusy].
func (e *ExpressionPolicy) run(ctx context.Context, runner *script.Runner, in script.Input) (Verdict, error) {
	program, err := e.program()
	if err != nil {
		return Verdict{Failure: err.Error()}, nil
	}
	result, err := runner.Run(ctx, program, in)
	switch {
	case err == nil:
		return Verdict{Passing: result.Passing, Messages: result.Messages}, nil
	case errors.Is(err, script.ErrBusy):
		return Verdict{}, err
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return Verdict{Failure: err.Error()}, nil
}

// asked is the policy of a binding that has one.
func (b *Binding) asked() *Policy {
	if b.matcher != nil {
		return &b.matcher.Policy
	}
	return &b.expression.Policy
}

// policyObject names the policy of a binding for the log.
func (b *Binding) policyObject() trail.Change {
	if b.matcher != nil {
		return matcherKind.Object(b.matcher)
	}
	return expressionKind.Object(b.expression)
}
