package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// list answers the keys of the objects on a page.
func (b *belfry) list(ctx context.Context, path string) (keys []string, err error) {
	var page struct {
		Results []struct {
			PK string `json:"pk"`
		} `json:"results"`
	}
	if err := b.read(ctx, path, &page); err != nil {
		return nil, err
	}
	for _, one := range page.Results {
		keys = append(keys, one.PK)
	}
	return keys, nil
}

// read reads an answer into what it is made of.
func (b *belfry) read(ctx context.Context, path string, into any) error {
	text, err := b.call(ctx, http.MethodGet, path, "", http.StatusOK)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
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
	var made struct{ PK any }
	err = json.Unmarshal(text, &made)
	return fmt.Sprint(made.PK), err
}

// post posts events, many at once.
func (b *belfry) post(ctx context.Context, count int, body func(i int) string) (err error) {
	const atOnce = 16
	failed := make(chan error, atOnce)
	for first := range atOnce {
		go func() {
			var err error
			for i := first; i < count && err == nil; i += atOnce {
				_, err = b.call(ctx, http.MethodPost, eventsPath, body(i), http.StatusCreated)
			}
			failed <- err
		}()
	}
	for range atOnce {
		err = errors.Join(err, <-failed)
	}
	return err
}

// inbox answers the keys of so many notifications of akadmin's; they are made when it is first asked for.
func (b *belfry) inbox(ctx context.Context, count int) ([]string, error) {
	if b.keys != nil {
		return b.keys, nil
	}
	if err := b.post(ctx, count, func(int) string { return matched }); err != nil {
		return nil, fmt.Errorf("make notifications: %w", err)
	}
	var keys []string
	for page := 1; len(keys) < count; page++ {
		more, err := b.list(ctx, fmt.Sprintf("%s?ordering=created&page_size=1000&page=%d", notificationsPath, page))
		if err != nil {
			return nil, err
		}
		keys = append(keys, more...)
	}
	b.keys = keys[:count]
	return b.keys, nil
}

// count answers how many objects a list has.
func (b *belfry) count(ctx context.Context, path string) (int, error) {
	var page struct{ Pagination struct{ Count int } }
	sign := "?"
	if strings.Contains(path, "?") {
		sign = "&"
	}
	err := b.read(ctx, path+sign+"page_size=1", &page)
	return page.Pagination.Count, err
}

// logged is what the server has logged as failed; no row wants that of it.
func (b *belfry) logged() error {
	if log := b.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		return fmt.Errorf("belfry logged an error:\n%s", log)
	}
	return nil
}

// verify looks behind the answers: the newest event that a rule of the first start matches has its one notification.
func (b *belfry) verify(ctx context.Context) error {
	if b.keys == nil {
		return nil // nothing of the kind was posted
	}
	events, err := b.list(ctx, eventsPath+"?action=configuration_error&page_size=1")
	if err != nil || len(events) == 0 {
		return errors.Join(errors.New("no event was kept"), err)
	}
	told, err := b.count(ctx, notificationsPath+"?event="+events[0])
	if err != nil || told != 1 {
		return errors.Join(fmt.Errorf("the newest event has %d notifications", told), err)
	}
	return nil
}
