package main

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// connections makes what it accepts cheaper to serve: see connection.
type connections struct{ net.Listener }

// Accept implements [net.Listener].
func (l connections) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConnection(c), nil
}

// untilGone is a server's ConnContext: the context of a connection's requests ends when its client goes away.
func untilGone(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*connection); ok {
		ctx, c.watch.gone = context.WithCancel(ctx)
	}
	return ctx
}

// connection is a client's, for net/http, which sets eight deadlines around each request, and begins a read beside it to notice
// a client who goes away. Nearly all requests are over before either matters, and together they take longer than the write in the
// database. So a deadline reaches the connection only when a call waits and it is nearer than the one that is set, and the
// client is watched only when a request takes a while.
type connection struct {
	net.Conn
	in, out limit
	watch   watch
}

func newConnection(conn net.Conn) *connection {
	c := &connection{Conn: conn, in: limit{set: conn.SetReadDeadline}, out: limit{set: conn.SetWriteDeadline}}
	c.watch = watch{conn: c, gone: func() {}}
	return c
}

// Read implements [net.Conn]. The read beside a request is of one byte and has no deadline, which all other reads have; nothing is an
// answer that ends it.
func (c *connection) Read(p []byte) (int, error) {
	if len(p) == 1 && c.in.endless() {
		c.watch.begin()
		return 0, nil
	}
	if c.watch.end(p) {
		return 1, nil
	}
	return c.receive(p)
}

// Close implements [net.Conn].
func (c *connection) Close() error {
	c.watch.gone()
	return c.Conn.Close()
}

// receive reads until the deadline.
func (c *connection) receive(p []byte) (int, error) {
	if err := c.in.begin(); err != nil {
		return 0, err
	}
	defer c.in.end()
	for {
		n, err := c.Conn.Read(p)
		if n > 0 || err == nil || !c.in.early(err) {
			return n, err
		}
	}
}

// Write implements [net.Conn].
func (c *connection) Write(p []byte) (written int, err error) {
	if err := c.out.begin(); err != nil {
		return 0, err
	}
	defer c.out.end()
	for {
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil || !c.out.early(err) {
			return written, err
		}
	}
}

// SetReadDeadline implements [net.Conn].
func (c *connection) SetReadDeadline(t time.Time) error { return c.in.want(t) }

// SetWriteDeadline implements [net.Conn].
func (c *connection) SetWriteDeadline(t time.Time) error { return c.out.want(t) }

// SetDeadline implements [net.Conn].
func (c *connection) SetDeadline(t time.Time) error { return errors.Join(c.in.want(t), c.out.want(t)) }

// CloseWrite tells the client that nothing more comes, where the connection can.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// limit is the deadline of one direction.
type limit struct {
	set func(time.Time) error // the connection's own

	mu     sync.Mutex
	wanted time.Time // zero for none
	own    time.Time // what the connection has: zero for none
	calls  int       // that wait
}

// want takes note of a deadline, and sets it where a call waits that would end too late.
func (l *limit) want(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = t
	if l.calls == 0 { // such as when net/http ends a read that it has not begun
		return nil
	}
	return l.shorten()
}

// endless reports whether there is no deadline, or the one long past by which net/http ends a read that it may not have begun yet.
func (l *limit) endless() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wanted.Unix() <= 1
}

// begin makes ready for a call, which ends in time; it may end too early.
func (l *limit) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.shorten(); err != nil {
		return err
	}
	l.calls++
	return nil
}

func (l *limit) end() {
	l.mu.Lock()
	l.calls--
	l.mu.Unlock()
}

// shorten sets the deadline that is wanted, if the one that is set comes later.
func (l *limit) shorten() error {
	if l.wanted.IsZero() || !l.own.IsZero() && !l.wanted.Before(l.own) {
		return nil
	}
	l.own = l.wanted
	return l.set(l.own)
}

// early reports whether a call ended with err before the deadline that is wanted, which is set then: it goes on.
func (l *limit) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.wanted.IsZero() && !l.wanted.After(time.Now()) {
		return false
	}
	l.own = l.wanted
	return l.set(l.own) == nil
}
