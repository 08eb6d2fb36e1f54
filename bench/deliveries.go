package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// beside is how long what stands beside others is measured: longer than an attempt's time-out.
const (
	beside    = 40 * time.Second
	neighbour = 20 // hanging receivers
	endless   = "for a in range(1000000000):\n    for b in range(1000000000):\n        pass\nreturn True"

	receiversRow = "Deliveries: 32 receivers"
)

// deliveryRows are webhooks to receivers on this machine: how many arrive a second.
func (b *bench) deliveryRows() (rows []*row) {
	for _, one := range []struct {
		name      string
		receivers int
	}{{"Deliveries: 1 receiver", 1}, {"Deliveries: 8 receivers", 8}, {receiversRow, 32}} {
		rows = append(rows, &row{name: one.name, measure: func(ctx context.Context) (sample, error) {
			return b.sending(ctx, one.receivers)
		}})
	}
	return rows
}

// measureDeliveries prints what deliveries and rules do to others: how fast one arrives beside receivers that hang, and what
// an endless expression does to others who write.
func (b *bench) measureDeliveries(ctx context.Context, out, errs io.Writer) error {
	fmt.Fprintln(out, "| What | Figure |\n|---|---:|")
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

// sending lets deliveries wait for transports that are disabled, enables them, and counts what arrives a second.
func (b *bench) sending(ctx context.Context, receivers int) (s sample, err error) {
	server, err := b.fresh(ctx, "deliveries")
	if err != nil {
		return s, err
	}
	defer b.stop("deliveries")
	sink, err := listen(receivers, false)
	if err != nil {
		return s, err
	}
	defer sink.close()
	keys, err := server.rule(ctx, "custom_bench", sink)
	if err != nil {
		return s, err
	}
	if err := server.disable(ctx, keys, `"2026-01-01T00:00:00Z"`); err != nil {
		return s, err
	}
	events := 8 * b.items / receivers
	if err := server.post(ctx, events, func(int) string { return event("custom_bench", "") }); err != nil {
		return s, err
	}
	if err := b.settle(ctx); err != nil {
		return s, err
	}
	return watch(server.pid(), func() (s sample, err error) {
		if err := server.disable(ctx, keys, "null"); err != nil {
			return s, err
		}
		times, err := sink.wait(ctx, events*receivers, time.Minute)
		if err == nil {
			s.Rate = float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds()
		}
		return s, errors.Join(err, server.delivered(ctx, len(times)))
	})
}

// disable sets when transports were disabled; null enables them.
func (b *belfry) disable(ctx context.Context, keys []string, at string) (err error) {
	for _, key := range keys {
		_, one := b.call(ctx, http.MethodPatch, "/api/v3/events/transports/"+key+"/", `{"disabled_at":`+at+`}`, http.StatusOK)
		err = errors.Join(err, one)
	}
	return err
}

// delivered waits until so many deliveries are logged as delivered: an attempt is logged after its answer.
func (b *belfry) delivered(ctx context.Context, count int) error {
	logged := 0
	for until := time.Now().Add(answerTime / 3); time.Now().Before(until); {
		var err error
		if logged, err = b.count(ctx, "/api/belfry/deliveries/?state=delivered"); err != nil || logged == count {
			return err
		}
		if err := sleep(ctx, restTime); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d deliveries arrived, and %d are logged as delivered", count, logged)
}

// receipt measures the time from before a POST until its webhook arrives, one after the other, beside so many receivers
// that take what they are sent and never answer.
func (b *bench) receipt(ctx context.Context, hanging int) (sample, error) {
	server, err := b.fresh(ctx, "receipt")
	if err != nil {
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
	if _, err := server.rule(ctx, "custom_good", good); err != nil {
		return sample{}, err
	}
	if _, err := server.rule(ctx, "custom_bad", bad); err != nil {
		return sample{}, err
	}
	var times []time.Duration
	for until := time.Now().Add(beside); time.Now().Before(until); {
		if _, err := server.call(ctx, http.MethodPost, eventsPath, event("custom_bad", ""), http.StatusCreated); err != nil {
			return sample{}, err
		}
		begin := time.Now()
		if _, err := server.call(ctx, http.MethodPost, eventsPath, event("custom_good", ""), http.StatusCreated); err != nil {
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
	server, err := b.fresh(ctx, "endless")
	if err != nil {
		return before, during, err
	}
	keys, err := server.inbox(ctx, b.items)
	if err != nil {
		return before, during, err
	}
	policy, err := server.scripted(ctx)
	if err != nil {
		return before, during, err
	}
	posting, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() {
		for posting.Err() == nil { // an answer that the end cuts off is none
			_, _ = server.call(posting, http.MethodPost, eventsPath, event("custom_any", ""), http.StatusCreated)
		}
	})
	writers := &generator{workload: seenWorkload(keys), turns: make([]int, len(keys))}
	o := order{Address: server.address, Connections: 16, Warm: time.Second, Time: 25 * time.Second}
	if before, err = writers.run(ctx, o); err != nil {
		return before, during, err
	}
	body, err := json.Marshal(map[string]string{"expression": endless})
	if err != nil {
		return before, during, err
	}
	if _, err = server.call(ctx, http.MethodPatch, "/api/v3/policies/expression/"+policy+"/", string(body), http.StatusOK); err != nil {
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
