package script

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"
)

const (
	maxTime = time.Second      // of one run
	maxWait = time.Second      // for the run before it
	rest    = 10 * time.Second // of a program that overran a limit
)

// ErrBusy is the error of a run that did not begin, because those before it took too long. The expression itself has not failed.
var ErrBusy error = &Error{Message: "another expression has been running for too long: try again in a moment"}

// Runner runs programs, one at a time. An expression therefore takes one processor at most, for a second at most.
type Runner struct {
	slot  chan struct{} // holds one value while a program runs
	mu    sync.Mutex
	rests map[string]resting // by the program's source, because programs are compiled anew when anything changes
}

// resting is a program that overran a limit: until then it fails as it did.
type resting struct {
	until time.Time
	err   *Error
}

// NewRunner makes a runner. A process needs one.
func NewRunner() *Runner {
	return &Runner{slot: make(chan struct{}, 1), rests: map[string]resting{}}
}

// outcome is what a run came to.
type outcome struct {
	result Result
	err    *Error
}

// Run runs a program on in, in a goroutine of its own, for a second at most. The error is an [*Error], or ctx's when that
// ended first. A program that overran a limit fails with the same error for the ten seconds after.
func (r *Runner) Run(ctx context.Context, p *Program, in Input) (Result, error) {
	if err := r.resting(p); err != nil {
		return Result{}, err
	}
	if err := r.enter(ctx); err != nil {
		return Result{}, err
	}
	thread := &starlark.Thread{Name: "expression"}
	done := make(chan outcome, 1)
	go func() {
		defer func() { <-r.slot }()
		done <- run(thread, p, in)
	}()
	timer := time.NewTimer(maxTime)
	defer timer.Stop()
	select {
	case out := <-done:
		if out.err != nil {
			r.remember(p, out.err)
			return Result{}, out.err
		}
		return out.result, nil
	case <-timer.C:
		thread.Cancel("time")
		err := &Error{Message: "the expression ran for more than a second, which none may", limit: true}
		r.remember(p, err)
		return Result{}, err
	case <-ctx.Done():
		thread.Cancel("context")
		return Result{}, ctx.Err()
	}
}

// enter waits for the run before. One that is in the middle of a long step cannot be stopped there.
func (r *Runner) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := time.NewTimer(maxTime + maxWait)
	defer timer.Stop()
	select {
	case r.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ErrBusy
	}
}

// resting is why a program is not run now, or nil.
func (r *Runner) resting(p *Program) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for source, rests := range r.rests {
		if !now.Before(rests.until) {
			delete(r.rests, source)
		}
	}
	if rests, ok := r.rests[p.source]; ok {
		return rests.err
	}
	return nil
}

// remember lets a program rest if it overran a limit.
func (r *Runner) remember(p *Program, err *Error) {
	if !err.limit {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rests[p.source] = resting{until: time.Now().Add(rest), err: err}
}

// run runs a program to its end. A panic is an error of the program: nothing else is touched by one.
func run(thread *starlark.Thread, p *Program, in Input) (out outcome) {
	m := &meter{}
	thread.SetLocal(meterKey, m)
	thread.SetMaxExecutionSteps(maxSteps)
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		m.stopped = "the expression took more than 1,000,000 steps, which none may: is there a loop without an end?"
		thread.Cancel("steps")
	}
	defer func() {
		if caught := recover(); caught != nil {
			out = outcome{err: &Error{Message: fmt.Sprintf("this expression broke the program that runs it, please report it: %v", caught)}}
		}
	}()
	result, err := evaluate(thread, m, p, in)
	if err != nil {
		return outcome{err: p.failed(m, err)}
	}
	return outcome{result: result}
}

// evaluate runs the function that the expression is.
func evaluate(thread *starlark.Thread, m *meter, p *Program, in Input) (Result, error) {
	env, err := environment(in)
	if err != nil {
		return Result{}, err
	}
	globals, err := p.compiled.Init(thread, env)
	if err != nil {
		return Result{}, err
	}
	value, err := starlark.Call(thread, globals[entry], nil, nil)
	if err != nil {
		return Result{}, err
	}
	document, err := toJSON(value)
	if err != nil {
		return Result{}, err
	}
	result := Result{JSON: document, Passing: bool(value.Truth()), Messages: m.messages}
	if n, ok := env["notification"].(*object); ok {
		body, _ := starlark.AsString(n.values["body"])
		switch {
		case len(body) > MaxInput:
			return Result{}, words("notification.body has more than 64 KiB")
		case strings.Contains(body, "\x00"):
			return Result{}, words("notification.body may not hold the character \\0, which no database keeps")
		}
		result.Body = body
	}
	return result, nil
}
