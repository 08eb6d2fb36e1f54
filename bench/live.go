package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

const (
	livePath  = "/api/belfry/live"
	liveRate  = 100 // events a second
	manyRow   = "Live: 1,000 readers"
	ofOneUser = 16 // readers; of more the oldest gives way
)

// liveRows are readers of the stream of what changes. The times are from before an event is posted until a reader has its
// key; the rate is of keys that came.
func (b *bench) liveRows() (rows []*row) {
	for _, one := range []struct {
		name    string
		readers int
	}{{"Live: 1 reader", 1}, {"Live: 100 readers", 100}, {manyRow, 1000}} {
		rows = append(rows, &row{name: one.name, measure: func(ctx context.Context) (sample, error) {
			return b.fanOut(ctx, one.readers)
		}})
	}
	return rows
}

// fanOut starts a server and lets readers follow what is posted to it. The memory is that while all of them listen.
func (b *bench) fanOut(ctx context.Context, readers int) (s sample, err error) {
	server, err := b.fresh(ctx, "live")
	if err != nil {
		return s, err
	}
	defer b.stop("live")
	tokens, err := server.audience(ctx, (readers+ofOneUser-1)/ofOneUser)
	if err != nil {
		return s, err
	}
	c, err := b.child(ctx, "readers", audience{Address: server.address, Tokens: tokens, Readers: readers})
	if err != nil {
		return s, err
	}
	defer b.drop(c)
	var listening admitted
	if err := c.hear(&listening); err != nil {
		return s, err
	}
	if listening.Full {
		return s, leftOut(fmt.Sprintf("this belfry lets %d readers in and refuses the next one with 503", listening.Readers))
	}
	if listening.Wrong != "" {
		return s, errors.New(listening.Wrong)
	}
	if err := b.settle(ctx); err != nil {
		return s, err
	}
	return watch(server.pid(), func() (sample, error) { return c.measure(order{Time: b.time}) })
}

// audience makes so many superusers, each with a token.
func (b *belfry) audience(ctx context.Context, users int) (tokens []string, err error) {
	groups, err := b.list(ctx, "/api/v3/core/groups/")
	if err != nil {
		return nil, err
	}
	for i := range users {
		name := fmt.Sprint("reader-", i)
		user, err := b.make(ctx, "/api/v3/core/users/", map[string]any{"username": name, "name": name, "groups": groups})
		if err != nil {
			return nil, err
		}
		body := fmt.Sprintf(`{"identifier":%q,"user":%s,"intent":"api"}`, name, user)
		text, err := b.call(ctx, http.MethodPost, "/api/v3/core/tokens/", body, http.StatusCreated)
		if err != nil {
			return nil, err
		}
		var made struct{ Key string }
		if err := json.Unmarshal(text, &made); err != nil {
			return nil, err
		}
		tokens = append(tokens, made.Key)
	}
	return tokens, nil
}
