package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// exchange is a request and what must be in its answer.
type exchange struct {
	Request  []byte
	Contains string
}

// target is what is asked again and again: its exchanges in turn, such as seen, not seen, seen.
type target struct{ Exchanges []exchange }

// workload is what a load generator is told first.
type workload struct {
	Status  int // of every answer
	Targets []target
}

// order is one measurement that a load generator is told to make.
type order struct {
	Address     string
	Connections int
	Warm, Time  time.Duration
}

// generateLoad is the load generator: a workload comes in, then orders; each is answered with a sample.
func generateLoad(ctx context.Context, in io.Reader, out io.Writer) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	var w workload
	if err := from.Decode(&w); err != nil {
		return fmt.Errorf("read the workload: %w", err)
	}
	g := &generator{workload: w, turns: make([]int, len(w.Targets))}
	for {
		var o order
		err := from.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		s, err := g.run(ctx, o)
		if err != nil {
			s = sample{Wrong: err.Error()}
		}
		if err := to.Encode(s); err != nil {
			return fmt.Errorf("write a sample: %w", err)
		}
	}
}

// generator makes the load. It outlives a measurement, because the next one goes on with each target's next turn:
// else the first requests would set what is set already.
type generator struct {
	workload
	turns []int // how often each target was asked
}

// run makes one measurement. Its first part, Warm, is not counted.
func (g *generator) run(ctx context.Context, o order) (sample, error) {
	if err := g.check(o); err != nil {
		return sample{}, err
	}
	workers := make([]worker, o.Connections)
	for i := range workers {
		c, err := dial(ctx, o.Address)
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		workers[i] = worker{generator: g, connection: c, first: i, step: o.Connections, times: make([]time.Duration, 0, 1<<12)}
	}
	from := time.Now().Add(o.Warm)
	used, err := processorTime(os.Getpid())
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { workers[i].work(ctx, from, from.Add(o.Time)) })
	}
	all.Wait()
	took := time.Since(begin)
	usedNow, err := processorTime(os.Getpid())
	if err != nil {
		return sample{}, err
	}
	var times, others []time.Duration
	for i := range workers {
		if err := workers[i].err; err != nil {
			return sample{}, err
		}
		times, others = append(times, workers[i].times...), append(others, workers[i].others...)
	}
	s := summarise(times, o.Time)
	if len(times) == 0 { // each took longer than all of the measurement
		s = summarise(others, took)
	}
	s.Answers, s.Load = len(times)+len(others), (usedNow-used).Seconds()/took.Seconds()
	return s, ctx.Err()
}

// check refuses orders in which two connections would take turns at one target.
func (g *generator) check(o order) error {
	for _, t := range g.Targets {
		if len(t.Exchanges) > 1 && o.Connections > len(g.Targets) {
			return fmt.Errorf("%d connections for %d targets with turns", o.Connections, len(g.Targets))
		}
	}
	if len(g.Targets) == 0 || o.Connections < 1 {
		return errors.New("nothing to do")
	}
	return nil
}

// worker is one connection at work on every step-th target.
type worker struct {
	generator   *generator
	connection  *connection
	first, step int
	times       []time.Duration // of the answers that came within the measurement
	others      []time.Duration // of those that came before and after it
	err         error
}

// work asks until the end of the measurement, and once at least. An answer counts when it came between from and until.
func (w *worker) work(ctx context.Context, from, until time.Time) {
	targets := w.generator.Targets
	if w.err = w.connection.SetDeadline(until.Add(answerTime)); w.err != nil {
		return
	}
	at := w.first % len(targets)
	for begin := time.Now(); ctx.Err() == nil; {
		if w.err = w.ask(at); w.err != nil {
			return
		}
		end := time.Now()
		if end.After(from) && !end.After(until) {
			w.times = append(w.times, end.Sub(begin))
		} else {
			w.others = append(w.others, end.Sub(begin))
		}
		if !end.Before(until) {
			return
		}
		begin = end
		if at += w.step; at >= len(targets) {
			at = w.first % len(targets)
		}
	}
}

// ask makes one request of a target, its next one, and checks the answer.
func (w *worker) ask(at int) error {
	exchanges := w.generator.Targets[at].Exchanges
	next := &exchanges[0]
	if len(exchanges) > 1 {
		// Only this connection has this target. A target with one exchange may be shared and has no turns.
		next = &exchanges[w.generator.turns[at]%len(exchanges)]
		w.generator.turns[at]++
	}
	status, body, err := w.connection.send(next.Request)
	if err != nil {
		return err
	}
	if status != w.generator.Status || !bytes.Contains(body, []byte(next.Contains)) {
		return fmt.Errorf("wrong answer: want %d with %s, got %d %.300s", w.generator.Status, next.Contains, status, body)
	}
	return nil
}
