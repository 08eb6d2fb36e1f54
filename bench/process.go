package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is this program in another role, told and asked in JSON.
type child struct {
	process *exec.Cmd
	in      io.Closer
	to      *json.Encoder
	from    *json.Decoder
}

// startChild starts this program again in a role. It runs until end is called.
func startChild(ctx context.Context, role string, first any) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, role)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	c := &child{process: cmd, in: in, to: json.NewEncoder(in), from: json.NewDecoder(out)}
	if err := c.to.Encode(first); err != nil {
		return c, fmt.Errorf("tell %s what to do: %w", role, err)
	}
	return c, nil
}

// end lets the child end: it does when its input does, so also when this process is killed.
func (c *child) end() {
	_ = c.in.Close()
	_ = c.process.Wait() // what it has to say it has said
}

// hear reads the child's next word.
func (c *child) hear(word any) error {
	err := c.from.Decode(word)
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
		return errors.New("the child process ended")
	}
	return err
}

// measure gives a load generator an order.
func (c *child) measure(o order) (sample, error) {
	var s sample
	if err := c.to.Encode(o); err != nil {
		return s, err
	}
	if err := c.hear(&s); err != nil {
		return s, err
	}
	if s.Wrong != "" {
		return s, errors.New(s.Wrong)
	}
	return s, nil
}
