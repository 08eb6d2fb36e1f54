package outbound

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// shortTime is the limit of an attempt in tests with hostile receivers.
const shortTime = 300 * time.Millisecond

// until writes the same bytes, a little at a time, until the other side has had enough.
func until(conn net.Conn, text []byte, pause time.Duration, written *atomic.Int64) {
	for {
		for piece := range slices.Chunk(text, 512) {
			n, err := conn.Write(piece)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
		if pause > 0 {
			<-time.After(pause) // the receiver is slow on purpose
		}
	}
}

func TestHostileReceiverCostsAnAttemptAndNoMore(t *testing.T) {
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	_, err := packed.Write(make([]byte, 64<<20))
	if err = errors.Join(err, packed.Close()); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name    string
		serve   func(conn net.Conn, written *atomic.Int64)
		status  int  // 0: no answer
		timeout bool // the attempt ends by its limit
		sends   int64
	}{
		{"hangs", func(conn net.Conn, _ *atomic.Int64) { io.Copy(io.Discard, conn) }, 0, true, 0},
		{"drips its headers", func(conn net.Conn, n *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			until(conn, []byte("x: y\r\n"), 10*time.Millisecond, n)
		}, 0, true, 6},
		{"sends headers without end", func(conn net.Conn, n *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			until(conn, []byte("x: "+strings.Repeat("y", 1000)+"\r\n"), 0, n)
		}, 0, false, headerBytes},
		{"sends one header without end", func(conn net.Conn, n *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nx: ")
			until(conn, bytes.Repeat([]byte("y"), 1000), 0, n)
		}, 0, false, headerBytes},
		{"sends early hints without end", func(conn net.Conn, n *atomic.Int64) {
			until(conn, []byte("HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"), 0, n)
		}, 0, false, headerBytes},
		{"resets", func(conn net.Conn, _ *atomic.Int64) { conn.(*net.TCPConn).SetLinger(0) }, 0, false, 0},
		{"answers what is no HTTP", func(conn net.Conn, n *atomic.Int64) { until(conn, []byte("220 ready\r\n"), 0, n) }, 0, false, 11},
		{"sends a body without end", func(conn net.Conn, n *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			until(conn, bytes.Repeat([]byte("y"), 64<<10), 0, n)
		}, 200, false, excerptBytes},
		{"drips its body", func(conn net.Conn, n *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 500 Oh\r\nContent-Length: 100000\r\n\r\n")
			until(conn, []byte("y"), 10*time.Millisecond, n)
		}, 500, false, 1},
		{"breaks its body off", func(conn net.Conn, _ *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 204 No\r\nContent-Length: 100\r\n\r\nxyz")
			conn.(*net.TCPConn).SetLinger(0)
		}, 204, false, 0},
		{"sends a gzip bomb", func(conn net.Conn, n *atomic.Int64) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", bomb.Len())
			until(conn, bomb.Bytes(), 0, n)
		}, 200, false, excerptBytes},
		{"chunks with the longest extensions", func(conn net.Conn, n *atomic.Int64) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			until(conn, []byte("1;"+strings.Repeat("y", 2000)+"\r\ny\r\n"), 0, n)
		}, 200, false, 2000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var written atomic.Int64
			var connections atomic.Int64
			served := make(chan struct{}, 10)
			address := receiver(t, func(conn net.Conn) {
				connections.Add(1)
				c.serve(conn, &written)
				served <- struct{}{}
			})
			client := newClient(t, onLoopback(shortTime))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			answer, err := client.Post(t.Context(), webhook("http://"+address+"/"))
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if answer.Status != c.status || (err == nil) != (c.status != 0) || IsTimeout(err) != c.timeout {
				t.Errorf("want the status %d and a timeout: %v, got %d, %v", c.status, c.timeout, answer.Status, err)
			}
			if limit := shortTime + excerptTime; took > limit {
				t.Errorf("it took %v, more than %v", took, limit)
			}
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 4<<20 {
				t.Errorf("it cost %d bytes of memory", cost)
			}
			if len(answer.Body) > excerptBytes {
				t.Errorf("%d bytes of the answer are kept", len(answer.Body))
			}
			if <-served; connections.Load() != 1 || written.Load() < c.sends {
				t.Errorf("the receiver was not hostile: %d connections, %d bytes", connections.Load(), written.Load())
			}
		})
	}
}

func TestSlowBodyOfAnAnswerIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		client := NewClient(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer close(gone)
				defer there.Close()
				if request, err := http.ReadRequest(bufio.NewReader(there)); err != nil || request.Method != http.MethodPost {
					t.Errorf("got %v, %v", request, err)
				}
				io.WriteString(there, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
				for {
					if _, err := io.WriteString(there, "y"); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
			return here, nil
		}})
		defer client.Close()
		began := time.Now()
		answer, err := client.Post(t.Context(), webhook("http://receiver.example/"))
		if took := time.Since(began); err != nil || answer.Status != 200 || took != excerptTime || len(answer.Body) < 10 {
			t.Errorf("got %d %q after %v, %v", answer.Status, answer.Body, took, err)
		}
		<-gone
	})
}

func TestHangingHandshakeEndsWithTheAttempt(t *testing.T) {
	address := rawReceiver(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	began := time.Now()
	_, err := newClient(t, onLoopback(shortTime)).Post(t.Context(), webhook("https://"+address+"/"))
	if !IsTimeout(err) || time.Since(began) > 2*shortTime {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestEveryStatusIsAnAnswerAndNoRedirectIsFollowed(t *testing.T) {
	var hits atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Location", "/200")
		w.WriteHeader(status)
		io.WriteString(w, "said")
	}))
	defer web.Close()
	client := newClient(t, onLoopback(time.Second))
	for _, status := range []int{200, 201, 299, 300, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 502, 503, 599} {
		hits.Store(0)
		answer, err := client.Post(t.Context(), webhook(fmt.Sprintf("%s/%d", web.URL, status)))
		if err != nil || answer.Status != status || string(answer.Body) != "said" || hits.Load() != 1 {
			t.Errorf("want %d and one request, got %d %s after %d, %v", status, answer.Status, answer.Body, hits.Load(), err)
		}
	}
}

func TestRetryAfterInBothForms(t *testing.T) {
	date := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		name, text, date string
		want             time.Duration
	}{
		{"seconds", "120", "", 2 * time.Minute},
		{"no wait", "0", "", 0},
		{"more than a day", "100000", "", 24 * time.Hour},
		{"more than a number holds", "99999999999999999999999", "", 24 * time.Hour},
		{"negative", "-5", "", 0},
		{"a date, by the receiver's clock", date.Add(time.Minute).Format(http.TimeFormat), date.Format(http.TimeFormat), time.Minute},
		{"a date in the past", date.Add(-time.Minute).Format(http.TimeFormat), date.Format(http.TimeFormat), 0},
		{"a date far away", date.AddDate(100, 0, 0).Format(http.TimeFormat), date.Format(http.TimeFormat), 24 * time.Hour},
		{"no date and no number", "soon", "", 0},
		{"nothing", "", "", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", c.text)
				if c.date != "" {
					w.Header().Set("Date", c.date)
				}
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			defer web.Close()
			answer, err := newClient(t, onLoopback(time.Second)).Post(t.Context(), webhook(web.URL))
			if err != nil || answer.RetryAfter != c.want {
				t.Errorf("want %v, got %v, %v", c.want, answer.RetryAfter, err)
			}
		})
	}
}

func TestOnlyTrustedCertificatesAreAccepted(t *testing.T) {
	ours := newAuthority(t)
	roots := ours.roots(t)
	cases := []struct {
		name   string
		config *tls.Config
		roots  *x509.CertPool
		says   string // "" where the receiver is accepted
	}{
		{"by the extra authority", ours.server(t, nil), roots, ""},
		{"by an authority that nobody added", ours.server(t, nil), nil, "unknown authority"},
		{"by another authority of the same name", newAuthority(t).server(t, nil), roots, "certificate"},
		{"for another host", ours.server(t, func(c *x509.Certificate) { c.IPAddresses = nil }), roots, "doesn't contain any IP SANs"},
		{"expired", ours.server(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), roots, "expired"},
		{"for clients only", ours.server(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), roots, "usage"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var hits atomic.Int64
			web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
			web.TLS = c.config
			web.Config.ErrorLog = log.New(t.Output(), "", 0)
			web.StartTLS()
			defer web.Close()
			o := onLoopback(time.Second)
			o.Roots = c.roots
			_, err := newClient(t, o).Post(t.Context(), webhook(web.URL))
			switch {
			case c.says == "" && (err != nil || hits.Load() != 1):
				t.Errorf("not accepted: %v", err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || hits.Load() != 0):
				t.Errorf("want an error that says %q, got %v after %d requests", c.says, err, hits.Load())
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	ours := newAuthority(t)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = ours.server(t, nil)
	web.TLS.MaxVersion = tls.VersionTLS11
	web.Config.ErrorLog = log.New(t.Output(), "", 0)
	web.StartTLS()
	defer web.Close()
	o := onLoopback(time.Second)
	o.Roots = ours.roots(t)
	if answer, err := newClient(t, o).Post(t.Context(), webhook(web.URL)); err == nil {
		t.Errorf("TLS 1.1 was good enough: %d", answer.Status)
	}
}

func TestRootsComeFromAFileOfCertificates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	if _, err := LoadRoots(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadRoots(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file without certificates: %v", err)
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	// The standard library reads the variables once, at the first request that asks for them, and never
	// uses a proxy for loopback: so the transport itself is asked.
	if c := newClient(t, onLoopback(time.Second)); c.transport.Proxy != nil {
		t.Error("the client asks for a proxy")
	}
}

func TestConnectionsAreReusedWithinBounds(t *testing.T) {
	var opened atomic.Int64
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "said") }))
	web.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	web.Start()
	defer web.Close()
	client := newClient(t, onLoopback(time.Second))
	for range 5 {
		if _, err := client.Post(t.Context(), webhook(web.URL)); err != nil {
			t.Fatal(err)
		}
	}
	if opened.Load() != 1 {
		t.Errorf("5 requests opened %d connections", opened.Load())
	}
}

func TestCancelledAttemptIsNoTimeout(t *testing.T) {
	address := receiver(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := newClient(t, onLoopback(time.Second)).Post(stopped, webhook("http://"+address)); !errors.Is(err, context.Canceled) || IsTimeout(err) {
		t.Errorf("got %v", err)
	}
}
