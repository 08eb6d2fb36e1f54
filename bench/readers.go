package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httputil"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// audience is what the readers' process is told first: who listens where.
type audience struct {
	Address string
	Tokens  []string // used in turn
	Readers int
}

// admitted is what came of the listening.
type admitted struct {
	Readers int
	Full    bool   // the server has room for no more
	Wrong   string // what else went wrong
}

// arrival is a message that a reader got, and when.
type arrival struct {
	at   time.Time
	data []byte
}

// reader is one client that follows the stream.
type reader struct {
	*connection
	stream   *bufio.Reader
	arrivals []arrival
	events   atomic.Int64 // hints of events so far; more than there can be once the stream has ended
	err      error
}

// readStreams is the process of the readers: it is told who listens, says when all do, is told for how long to post events, and
// answers a sample. The readers listen until its input ends.
func readStreams(ctx context.Context, in io.Reader, out io.Writer) error {
	from, to := json.NewDecoder(in), json.NewEncoder(out)
	var a audience
	if err := from.Decode(&a); err != nil {
		return fmt.Errorf("read who listens: %w", err)
	}
	readers, answer := a.listen(ctx)
	defer func() {
		for _, r := range readers {
			r.Close()
		}
	}()
	if err := to.Encode(answer); err != nil || answer.Readers < a.Readers {
		return err
	}
	var o order
	if err := from.Decode(&o); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	s, err := a.measure(ctx, readers, o.Time)
	if err != nil {
		s = sample{Wrong: err.Error()}
	}
	if err := to.Encode(s); err != nil {
		return fmt.Errorf("write a sample: %w", err)
	}
	_, err = io.Copy(io.Discard, in) // nothing more comes: this waits for the end
	return err
}

// listen opens all streams, and reads the first message of each.
func (a audience) listen(ctx context.Context) (readers []*reader, answer admitted) {
	for i := range a.Readers {
		r, status, err := openStream(ctx, a.Address, a.Tokens[i%len(a.Tokens)])
		if status == http.StatusServiceUnavailable {
			answer.Full = true
			return readers, answer
		}
		if err != nil {
			answer.Wrong = fmt.Sprintf("reader %d: %v", i, err)
			return readers, answer
		}
		readers = append(readers, r)
		answer.Readers++
	}
	return readers, answer
}

// openStream opens one stream. Its answer comes in chunks, other than all else.
func openStream(ctx context.Context, address, token string) (r *reader, status int, err error) {
	c, err := dial(ctx, address)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := c.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, 0, err
	}
	if _, err := c.Write(buildRequest(http.MethodGet, livePath, token, "")); err != nil {
		return nil, 0, err
	}
	line, err := readLine(c.in)
	if err != nil {
		return nil, 0, err
	}
	if status, err = parseStatus(line); err != nil || status != http.StatusOK {
		return nil, status, errors.Join(fmt.Errorf("the stream was answered %q", line), err)
	}
	for len(line) > 0 {
		if line, err = readLine(c.in); err != nil {
			return nil, 0, err
		}
	}
	r = &reader{connection: c, stream: bufio.NewReaderSize(httputil.NewChunkedReader(c.in), 4<<10)}
	if event, _, err := r.next(); err != nil || string(event) != "hello" {
		return nil, 0, errors.Join(fmt.Errorf("the first message is %q", event), err)
	}
	return r, status, nil
}

// next reads one message.
func (r *reader) next() (event, data []byte, err error) {
	for {
		line, err := r.stream.ReadBytes('\n')
		if err != nil {
			return nil, nil, err
		}
		line = line[:len(line)-1]
		if value, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			event = value
		} else if value, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
			data = value
		} else if len(line) == 0 {
			return event, data, nil
		}
	}
}

// eventHint begins a hint of an event; its key follows.
var eventHint = []byte(`{"kind":"event","id":"`)

// follow notes what comes until the connection's deadline.
func (r *reader) follow() {
	for {
		event, data, err := r.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err == nil && string(event) == "bye" {
			err = fmt.Errorf("the stream ended: %s", data)
		}
		if r.err = err; err != nil {
			r.events.Store(math.MaxInt64)
			return
		}
		r.arrivals = append(r.arrivals, arrival{time.Now(), data})
		r.events.Add(int64(bytes.Count(data, eventHint)))
	}
}

// measure posts events and answers how long after that the readers had their keys. Every reader must get every one.
func (a audience) measure(ctx context.Context, readers []*reader, limit time.Duration) (s sample, err error) {
	used, err1 := processorTime(os.Getpid())
	var reading sync.WaitGroup
	for _, r := range readers {
		err1 = errors.Join(err1, r.SetReadDeadline(time.Time{}))
		reading.Go(r.follow)
	}
	begin := time.Now()
	posted, err2 := a.post(ctx, limit)
	if err1 == nil && err2 == nil {
		await(readers, int64(len(posted)))
	}
	took := time.Since(begin)
	for _, r := range readers {
		err1 = errors.Join(err1, r.SetReadDeadline(time.Now())) // it has read what came
	}
	reading.Wait()
	usedNow, err3 := processorTime(os.Getpid())
	if err := errors.Join(err1, err2, err3); err != nil {
		return s, err
	}
	var lags []time.Duration
	for i, r := range readers {
		mine, err := r.lags(posted)
		if err != nil {
			return s, fmt.Errorf("reader %d of %d: %w", i+1, len(readers), err)
		}
		lags = append(lags, mine...)
	}
	s = summarise(lags, limit)
	s.Load = (usedNow - used).Seconds() / took.Seconds()
	return s, ctx.Err()
}

// await waits until all readers have so many hints, but not for ever.
func await(readers []*reader, events int64) {
	until := time.Now().Add(answerTime / 3)
	for _, r := range readers {
		for r.events.Load() < events && time.Now().Before(until) {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// lags answers when the reader had each of the events that were posted, counted from their posting.
func (r *reader) lags(posted map[string]time.Time) (lags []time.Duration, err error) {
	if r.err != nil {
		return nil, r.err
	}
	known := map[string]bool{}
	for _, a := range r.arrivals {
		for rest := a.data; ; {
			_, after, ok := bytes.Cut(rest, eventHint)
			if !ok {
				break
			}
			key, _, _ := bytes.Cut(after, []byte(`"`))
			rest = after
			begin, ok := posted[string(key)]
			if !ok {
				return nil, fmt.Errorf("nobody has posted the event %s", key)
			}
			if !known[string(key)] {
				known[string(key)] = true
				lags = append(lags, a.at.Sub(begin))
			}
		}
	}
	if len(lags) != len(posted) {
		return nil, fmt.Errorf("%d of %d events came", len(lags), len(posted))
	}
	return lags, nil
}

// poster posts events at a steady rate, by some clients, with a token that nobody listens with.
type poster struct {
	address string
	clients int
	begin   time.Time
	limit   time.Duration
	mu      sync.Mutex
	posted  map[string]time.Time // when each key was
}

// post posts events, and answers when each of their keys was.
func (a audience) post(ctx context.Context, limit time.Duration) (posted map[string]time.Time, err error) {
	p := &poster{address: a.Address, clients: 4, begin: time.Now(), limit: limit, posted: map[string]time.Time{}}
	failed := make(chan error, p.clients)
	for first := range p.clients {
		go func() { failed <- p.work(ctx, first) }()
	}
	for range p.clients {
		err = errors.Join(err, <-failed)
	}
	return p.posted, err
}

// work is one client, which posts each event whose turn it is.
func (p *poster) work(ctx context.Context, first int) error {
	c, err := dial(ctx, p.address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(p.begin.Add(p.limit + answerTime)); err != nil {
		return err
	}
	request := buildRequest(http.MethodPost, eventsPath, token, unmatched)
	for i := first; ctx.Err() == nil; i += p.clients {
		at := time.Duration(i) * time.Second / liveRate
		if at >= p.limit {
			return nil
		}
		time.Sleep(time.Until(p.begin.Add(at)))
		sent := time.Now()
		status, body, err := c.send(request)
		var made struct{ PK string }
		if err == nil && status == http.StatusCreated {
			err = json.Unmarshal(body, &made)
		}
		if err != nil || made.PK == "" {
			return errors.Join(fmt.Errorf("an event was answered %d %s", status, body), err)
		}
		p.mu.Lock()
		p.posted[made.PK] = sent
		p.mu.Unlock()
	}
	return ctx.Err()
}
