package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	batchPath = "/api/belfry/events/"

	batchRow  = "Batch of 1,000: events"
	largeRow  = "Batch of 10,000: events"
	insertRow = "SQLite: events inserted, 1,000 a commit"
	besideRow = "PATCH seen beside batches of 10,000"

	// besideClients is how many clients patch beside the one that sends batches.
	besideClients = 8
)

// noBatches is why nothing is measured where the server takes no batches.
const noBatches = leftOut("this belfry has no POST " + batchPath)

// batchRows are many events in one request, what SQLite does with as many rows, and others' requests meanwhile. Each
// measurement has a new database, as the one of SQLite has.
func (b *bench) batchRows() []*row {
	rows := []*row{{name: insertRow, measure: func(ctx context.Context) (sample, error) {
		raw, err := b.inserts()
		if err != nil {
			return sample{}, err
		}
		return raw.measure(ctx, b.dir, b.time)
	}}}
	for _, one := range []struct {
		name  string
		lines int
	}{{batchRow, 1000}, {largeRow, 10_000}} {
		prepare := func(ctx context.Context, server *belfry) (workload, error) {
			return batchWorkload(one.lines), server.takesBatches(ctx)
		}
		s := b.on("batch", one.name, insertRow, prepare)
		s.each, s.adds, s.connections = one.lines, one.lines, []int{1}
		s.host = func(ctx context.Context) (host, error) {
			server, err := b.fresh(ctx, "batch")
			if err != nil {
				return host{}, err
			}
			return server.host(), nil
		}
		rows = append(rows, b.sceneRows(s)...)
	}
	return append(rows, &row{name: besideRow, connections: besideClients, ceiling: seenCeiling, measure: b.besideBatches})
}

// batchLine is a line of a batch: an event of about 600 bytes, like authentik's.
func batchLine(i int) string {
	return fmt.Sprintf(`{"action":"login","app":"authentik.stages.user_login","user":{"pk":%d,"email":"person.%d@rowan.example","username":"person.%d"},`+
		`"context":{"auth_method":"password","auth_method_args":{"known_device":true},"http_request":{"args":{},"path":"/if/flow/default-authentication-flow/",`+
		`"method":"GET","request_id":"%032x","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},`+
		`"message":"Signed in on floor %d of house %d, at the desk beside the printer"},"client_ip":"10.%d.%d.%d"}`,
		i%500+10, i%500, i%500, i*7919, i%9, i%40, i%3, i/250%250, i%250+1)
}

// batchWorkload sends the same lines all the time. They have no keys, so that each time they are other events.
func batchWorkload(lines int) workload {
	var body strings.Builder
	for i := range lines {
		body.WriteString(batchLine(i) + "\n")
	}
	request := buildTyped(http.MethodPost, batchPath, token, "application/x-ndjson", body.String())
	return workload{Status: http.StatusOK, Targets: []target{{[]exchange{{request, fmt.Sprintf(`"created":%d,`, lines)}}}}}
}

// takesBatches sends a batch of one line, and answers noBatches where the server has no such path.
func (b *belfry) takesBatches(ctx context.Context) error {
	c, err := dial(ctx, b.address)
	if err != nil {
		return err
	}
	defer c.Close()
	status, body, err := c.send(buildTyped(http.MethodPost, batchPath, token, "application/x-ndjson", batchLine(0)+"\n"))
	switch {
	case err != nil:
		return err
	case status == http.StatusNotFound:
		return noBatches
	case status != http.StatusOK:
		return fmt.Errorf("a batch of one line was answered %d %s", status, body)
	}
	return nil
}

// besideBatches measures clients that mark notifications as seen while another sends batches all the time.
func (b *bench) besideBatches(ctx context.Context) (s sample, err error) {
	server, err := b.fresh(ctx, "beside")
	if err != nil {
		return s, err
	}
	defer b.stop("beside")
	if err := server.takesBatches(ctx); err != nil {
		return s, err
	}
	patches, err := b.loadOf(ctx, func(ctx context.Context) (workload, error) { return b.seenScene(ctx, server) })
	if err != nil {
		return s, err
	}
	defer b.drop(patches)
	batches, err := b.child(ctx, "load", batchWorkload(10_000))
	if err != nil {
		return s, err
	}
	defer b.drop(batches)
	if err := b.settle(ctx); err != nil {
		return s, err
	}
	const ahead = 200 * time.Millisecond // by how much the batches begin before, and end after
	beside := make(chan error, 1)
	go func() {
		_, err := batches.measure(order{Address: server.address, Connections: 1, Warm: ahead, Time: b.time + b.time/10 + ahead})
		beside <- err
	}()
	s, err = watch(server.pid(), func() (sample, error) {
		return patches.measure(order{Address: server.address, Connections: besideClients, Warm: ahead + b.time/10, Time: b.time})
	})
	return s, errors.Join(err, <-beside)
}
