package script

import (
	"context"
	"errors"
)

// Runner runs programs, one at a time.
type Runner struct{ slot chan struct{} }

// NewRunner makes a runner. A process needs one.
func NewRunner() *Runner { return &Runner{slot: make(chan struct{}, 1)} }

// Run runs a program on in, in a goroutine of its own. The error is an [*Error], or ctx's when that ended first.
func (r *Runner) Run(ctx context.Context, p *Program, in Input) (Result, error) {
	return Result{}, errors.New("not there yet")
}
