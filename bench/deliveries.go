package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"
)

// inBatch is how many deliveries are waiting when their sending is measured; beside is how long what stands beside
// others is measured: longer than an attempt's time-out.
const (
	inBatch   = 8000
	beside    = 40 * time.Second
	neighbour = 20 // hanging receivers
	endless   = "for a in range(1000000000):\n    for b in range(1000000000):\n        pass\nreturn True"
)

// measureDeliveries starts a server and prints what it sends: how much, how fast beside receivers that hang, and what an
// endless expression does to others who write.
func (b *bench) measureDeliveries(ctx context.Context, out, errs io.Writer) (err error) {
	if b.belfry, err = startBelfry(ctx, b.dir, 1); err != nil {
		return err
	}
	fmt.Fprintln(out, "| What | Figure |\n|---|---:|")
	for _, receivers := range []int{1, 8, 32} {
		rate, err := b.sendingRate(ctx, receivers)
		if err != nil {
			return fmt.Errorf("%d receivers: %w", receivers, err)
		}
		fmt.Fprintf(out, "| Deliveries a second to %d receivers | %.0f |\n", receivers, rate)
	}
	for _, hanging := range []int{0, neighbour} {
		fmt.Fprintf(errs, "from POST to receipt, %d hanging neighbours\n", hanging)
		s, err := b.receipt(ctx, hanging)
		if err != nil {
			return fmt.Errorf("%d hanging receivers: %w", hanging, err)
		}
		fmt.Fprintf(out, "| From POST to receipt, %d hanging neighbours: p50, p99 ms | %.1f, %.1f |\n", hanging, milliseconds(s.P50), milliseconds(s.P99))
	}
	before, during, err := b.besideEndless(ctx)
	if err != nil {
		return fmt.Errorf("beside an endless expression: %w", err)
	}
	fmt.Fprintf(out, "| PATCH seen, 16 connections: p99 ms beside an expression that answers, an endless one, ratio | %.2f, %.2f, %.2f |\n",
		milliseconds(before.P99), milliseconds(during.P99), float64(during.P99)/float64(before.P99))
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// fresh starts the server on a new database.
func (b *bench) fresh(ctx context.Context, name string) error {
	b.belfry.stop()
	return b.belfry.start(ctx, filepath.Join(b.dir, name, "belfry.db"))
}

// sendingRate lets deliveries wait for transports that are disabled, enables them, and counts what arrives a second.
func (b *bench) sendingRate(ctx context.Context, receivers int) (float64, error) {
	if err := b.fresh(ctx, fmt.Sprint("rate-", receivers)); err != nil {
		return 0, err
	}
	sink, err := listen(receivers, false)
	if err != nil {
		return 0, err
	}
	defer sink.close()
	keys, err := b.belfry.rule(ctx, "custom_bench", sink)
	if err != nil {
		return 0, err
	}
	patch := func(body string) (err error) {
		for _, key := range keys {
			_, one := b.belfry.call(ctx, http.MethodPatch, "/api/v3/events/transports/"+key+"/", body, http.StatusOK)
			err = errors.Join(err, one)
		}
		return err
	}
	if err := patch(`{"disabled_at":"2026-01-01T00:00:00Z"}`); err != nil {
		return 0, err
	}
	for range inBatch / receivers {
		if _, err := b.belfry.call(ctx, http.MethodPost, eventsPath, event("custom_bench", ""), http.StatusCreated); err != nil {
			return 0, err
		}
	}
	if err := patch(`{"disabled_at":null}`); err != nil {
		return 0, err
	}
	times, err := sink.wait(ctx, inBatch/receivers*receivers, time.Minute)
	if err != nil {
		return 0, err
	}
	return float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds(), nil
}

// receipt measures the time from before a POST until its webhook arrives, one after the other, beside so many receivers
// that take what they are sent and never answer.
func (b *bench) receipt(ctx context.Context, hanging int) (sample, error) {
	if err := b.fresh(ctx, fmt.Sprint("receipt-", hanging)); err != nil {
		return sample{}, err
	}
	good, err := listen(1, false)
	if err != nil {
		return sample{}, err
	}
	defer good.close()
	bad, err := listen(hanging, true)
	if err != nil {
		return sample{}, err
	}
	defer bad.close()
	if _, err := b.belfry.rule(ctx, "custom_good", good); err != nil {
		return sample{}, err
	}
	if _, err := b.belfry.rule(ctx, "custom_bad", bad); err != nil {
		return sample{}, err
	}
	var times []time.Duration
	for until := time.Now().Add(beside); time.Now().Before(until); {
		if _, err := b.belfry.call(ctx, http.MethodPost, eventsPath, event("custom_bad", ""), http.StatusCreated); err != nil {
			return sample{}, err
		}
		begin := time.Now()
		if _, err := b.belfry.call(ctx, http.MethodPost, eventsPath, event("custom_good", ""), http.StatusCreated); err != nil {
			return sample{}, err
		}
		arrived, err := good.wait(ctx, len(times)+1, time.Minute)
		if err != nil {
			return sample{}, err
		}
		times = append(times, arrived[len(times)].Sub(begin))
	}
	return summarise(times, beside), nil
}

// besideEndless measures writes that have nothing to do with rules, beside events that an expression is asked about all the
// time: one that answers, then an endless one.
func (b *bench) besideEndless(ctx context.Context) (before, during sample, err error) {
	if err := b.fresh(ctx, "endless"); err != nil {
		return before, during, err
	}
	keys, err := b.belfry.makeNotifications(ctx, b.items)
	if err != nil {
		return before, during, err
	}
	policy, err := b.belfry.scripted(ctx)
	if err != nil {
		return before, during, err
	}
	posting, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() {
		for posting.Err() == nil { // an answer that the end cuts off is none
			_, _ = b.belfry.call(posting, http.MethodPost, eventsPath, event("custom_any", ""), http.StatusCreated)
		}
	})
	writers := &generator{workload: seenWorkload(b.belfry.address, keys), turns: make([]int, len(keys))}
	o := order{Connections: 16, Warm: time.Second, Time: 25 * time.Second}
	if before, err = writers.run(ctx, o); err != nil {
		return before, during, err
	}
	body, err := json.Marshal(map[string]string{"expression": endless})
	if err != nil {
		return before, during, err
	}
	if _, err = b.belfry.call(ctx, http.MethodPatch, "/api/v3/policies/expression/"+policy+"/", string(body), http.StatusOK); err != nil {
		return before, during, err
	}
	during, err = writers.run(ctx, o)
	return before, during, err
}

// scripted makes a rule that asks an expression about every event, and answers the expression's policy.
func (b *belfry) scripted(ctx context.Context) (policy string, err error) {
	rule, err := b.make(ctx, "/api/v3/events/rules/", map[string]any{"name": "scripted", "transports": []string{}})
	if err != nil {
		return "", err
	}
	if policy, err = b.make(ctx, "/api/v3/policies/expression/", map[string]any{"name": "scripted", "expression": "return False"}); err != nil {
		return "", err
	}
	_, err = b.make(ctx, "/api/v3/policies/bindings/", map[string]any{"policy": policy, "target": rule, "order": 0})
	return policy, err
}

// event is the body of a POST.
func event(action, message string) string {
	return fmt.Sprintf(`{"action":%q,"app":"bench","context":{"message":%q}}`, action, message)
}

// make makes an object and answers its key.
func (b *belfry) make(ctx context.Context, path string, body map[string]any) (key string, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	if text, err = b.call(ctx, http.MethodPost, path, string(text), http.StatusCreated); err != nil {
		return "", err
	}
	var made struct{ PK string }
	return made.PK, errors.Join(json.Unmarshal(text, &made), err)
}

// rule makes a rule that sends what has the action to every receiver of a sink, and answers its transports.
func (b *belfry) rule(ctx context.Context, action string, to *sink) (transports []string, err error) {
	for i, l := range to.listeners {
		key, err := b.make(ctx, "/api/v3/events/transports/", map[string]any{"name": fmt.Sprint(action, " ", i), "mode": "webhook",
			"webhook_url": "http://" + l.Addr().String() + "/"})
		if err != nil {
			return nil, err
		}
		transports = append(transports, key)
	}
	if len(transports) == 0 {
		return nil, nil
	}
	groups, err := b.list(ctx, "/api/v3/core/groups/")
	if err != nil {
		return nil, err
	}
	rule, err := b.make(ctx, "/api/v3/events/rules/", map[string]any{"name": action, "group": groups[0], "transports": transports})
	if err != nil {
		return nil, err
	}
	policy, err := b.make(ctx, "/api/v3/policies/event_matcher/", map[string]any{"name": action, "action": action})
	if err != nil {
		return nil, err
	}
	_, err = b.make(ctx, "/api/v3/policies/bindings/", map[string]any{"policy": policy, "target": rule, "order": 0})
	return transports, err
}

// sink is receivers that note when a webhook arrives. They read no more of HTTP than they must.
type sink struct {
	listeners []net.Listener
	hangs     bool
	mu        sync.Mutex
	times     []time.Time
	more      chan struct{}
}

// listen starts receivers. Those that hang read what they are sent and never answer.
func listen(count int, hangs bool) (*sink, error) {
	s := &sink{hangs: hangs, more: make(chan struct{}, 1)}
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, err
		}
		s.listeners = append(s.listeners, l)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return // closed
				}
				go s.serve(conn)
			}
		}()
	}
	return s, nil
}

// serve takes webhooks on one connection until it ends.
func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		if _, err := readLine(in); err != nil {
			return
		}
		length, err := readHeader(in)
		if err != nil {
			return
		}
		if _, err := in.Discard(max(0, length)); err != nil {
			return
		}
		s.mu.Lock()
		s.times = append(s.times, time.Now())
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if s.hangs {
			_, _ = in.Peek(1) // until the other side gives up
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// wait waits until so many webhooks have arrived, and answers when each did.
func (s *sink) wait(ctx context.Context, count int, limit time.Duration) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		s.mu.Lock()
		times := s.times[:len(s.times):len(s.times)]
		s.mu.Unlock()
		if len(times) >= count {
			return times, nil
		}
		select {
		case <-s.more:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d webhooks arrived: %w", len(times), count, ctx.Err())
		}
	}
}

// close stops listening.
func (s *sink) close() {
	for _, l := range s.listeners {
		_ = l.Close() // nothing depends on it any more
	}
}
