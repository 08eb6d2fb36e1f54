package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

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
