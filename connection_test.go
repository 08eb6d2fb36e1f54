package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/drf"
)

// counted counts how often a deadline is set.
type counted struct {
	net.Conn
	deadlines *atomic.Int32
}

func (c counted) SetReadDeadline(t time.Time) error {
	c.deadlines.Add(1)
	return c.Conn.SetReadDeadline(t)
}

func (c counted) SetWriteDeadline(t time.Time) error {
	c.deadlines.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

// clientOf serves one connection with the program's limits in a bubble of synctest. It answers the client's end, and how often a
// deadline was set.
func clientOf(t *testing.T, handler http.HandlerFunc) (client net.Conn, deadlines *atomic.Int32) {
	t.Helper()
	web := newHTTP(handler, slog.New(slog.DiscardHandler))
	accept, served := make(pipes), make(chan error)
	go func() { served <- serveOn(web, accept) }()
	client, theirs := net.Pipe()
	deadlines = new(atomic.Int32)
	accept <- counted{theirs, deadlines}
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), web.Close()); err != nil {
			t.Error(err)
		}
		<-served
		time.Sleep(time.Second) // net/http lingers for a moment where it has refused a request
	})
	return client, deadlines
}

// sendText writes to the server, which may close the connection before it has all.
func sendText(client net.Conn, text string) { _, _ = io.WriteString(client, text) }

// get is a request without a body; post is one with.
const (
	getText  = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	postText = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
)

// answerOf reads an answer and its body.
func answerOf(t *testing.T, r *bufio.Reader) (body string) {
	t.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAClientWhoGoesAwayEndsItsRequest(t *testing.T) {
	for _, request := range []string{getText, postText} {
		for _, after := range []time.Duration{0, watchAfter, 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan time.Time, 1)
				client, _ := clientOf(t, func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.ReadAll(r.Body)
					<-r.Context().Done()
					ended <- time.Now()
				})
				sendText(client, request)
				time.Sleep(after)
				left := time.Now()
				client.Close()
				if late := (<-ended).Sub(left); late > watchAfter {
					t.Errorf("%.4q: a client who went after %v was noticed %v later", request, after, late)
				}
			})
		}
	}
}

// TestAClientIsWatchedThroughManyRequests because a timer serves them all.
func TestAClientIsWatchedThroughManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		client, _ := clientOf(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				time.Sleep(watchAfter / 4)
				return
			}
			_, _ = io.ReadAll(r.Body)
			<-r.Context().Done()
			ended <- time.Now()
		})
		r := bufio.NewReader(client)
		for range 50 {
			sendText(client, getText)
			answerOf(t, r)
		}
		sendText(client, postText)
		client.Close()
		left := time.Now()
		if late := (<-ended).Sub(left); late > 2*watchAfter {
			t.Errorf("noticed %v later", late)
		}
	})
}

// TestARequestIsServedAfterTheOneBefore whether it comes after that is answered or before.
func TestARequestIsServedAfterTheOneBefore(t *testing.T) {
	for _, after := range []time.Duration{0, watchAfter / 2, 10 * watchAfter, time.Minute / 3} {
		synctest.Test(t, func(t *testing.T) {
			number := 0
			client, _ := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
				number++
				body, err := io.ReadAll(r.Body)
				time.Sleep(time.Minute / 4)
				fmt.Fprint(w, r.Method, number, string(body), err, r.Context().Err())
			})
			r := bufio.NewReader(client)
			sendText(client, postText)
			go func() {
				time.Sleep(after)
				sendText(client, strings.Repeat(postText, 2))
			}()
			for i := 1; i <= 3; i++ {
				if got, want := answerOf(t, r), fmt.Sprintf("POST%dbody<nil> <nil>", i); got != want {
					t.Errorf("after %v: %q, want %q", after, got, want)
				}
			}
		})
	}
}

// TestTheLimitsOfAConnectionHold on one that has just been opened, and on one that has served requests.
func TestTheLimitsOfAConnectionHold(t *testing.T) {
	for _, test := range []struct {
		name, text string
		before     []int // how many requests were served
		after      time.Duration
	}{
		{"nothing is sent", "", []int{1, 20}, idleTime},
		{"no first request is sent", "", []int{0}, headerTime},
		{"a header is not sent to its end", "GET / HTTP/1.1\r\nHost: x", []int{0, 1, 20}, headerTime},
		{"a body is not sent to its end", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo", []int{0, 1, 20}, readTime},
		{"an answer is not read", "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", []int{0, 1, 20}, writeTime},
	} {
		for _, before := range test.before {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				client, _ := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					if r.URL.Path == "/large" {
						_, err = w.Write(make([]byte, 10<<20))
					}
					if err != nil {
						ended <- err
					}
				})
				r := bufio.NewReader(client)
				for i := range before {
					time.Sleep(time.Duration(i) * time.Second / 2)
					sendText(client, []string{getText, postText}[i%2])
					answerOf(t, r)
				}
				began := time.Now()
				go func() {
					sendText(client, test.text)
					if test.text == "" || test.after == headerTime {
						_, err := r.ReadByte()
						ended <- err
					}
				}()
				err := <-ended
				if took := time.Since(began); took != test.after {
					t.Errorf("%s, after %d requests: ended after %v by %v, want %v", test.name, before, took, err, test.after)
				}
			})
		}
	}
}

// TestAHeaderIsReadInWhateverPiecesItComes also where there is room for one byte in the buffer that it is read into.
func TestAHeaderIsReadInWhateverPiecesItComes(t *testing.T) {
	for _, test := range []struct{ first, length, status int }{
		{4094, 5000, 200}, {4095, 5000, 200}, {4096, 5000, 200}, {8191, 9000, 200}, {headerBytes + 4095, 2 * headerBytes, 431},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, _ := clientOf(t, func(http.ResponseWriter, *http.Request) {})
			r := bufio.NewReader(client)
			for range 2 {
				text := "GET /" + strings.Repeat("x", test.length) + " HTTP/1.1\r\nHost: x\r\n\r\n"
				go func() {
					sendText(client, text[:test.first])
					time.Sleep(time.Second)
					sendText(client, text[test.first:])
				}()
				answer, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if answer.StatusCode != test.status {
					t.Errorf("in pieces of %d bytes: %s", test.first, answer.Status)
				}
				if test.status != 200 {
					break
				}
			}
		})
	}
}

// TestASlowClientWhoIsThereIsNotTakenForGone because of the deadline by which its body was to come.
func TestASlowClientWhoIsThereIsNotTakenForGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 1)
		client, _ := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			batch, err := drf.ReadBatch(w, r)
			for err == nil {
				err = batch.Next()
			}
			if err != io.EOF {
				t.Error(err)
			}
			time.Sleep(time.Minute) // such as waiting for a turn to write
			if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			left <- r.Context().Err()
		})
		sendText(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 6\r\n\r\n{}\n")
		time.Sleep(29500 * time.Millisecond)
		sendText(client, "{}\n")
		if err := <-left; err != nil {
			t.Error(err)
		}
	})
}

// TestAWriteGoesOnWhereAnEarlierDeadlineEndsIt writes more than the client reads until then.
func TestAWriteGoesOnWhereAnEarlierDeadlineEndsIt(t *testing.T) {
	const size = 300 << 10
	synctest.Test(t, func(t *testing.T) {
		client, _ := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				return
			}
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
			if _, err := w.Write([]byte(strings.Repeat("x", size))); err != nil {
				t.Error(err)
			}
		})
		r := bufio.NewReaderSize(client, 16)
		sendText(client, getText)
		answerOf(t, r)
		sendText(client, postText)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, n := 0, 0
		for piece := make([]byte, 5<<10); err == nil; got += n {
			n, err = io.ReadFull(answer.Body, piece)
			if strings.Trim(string(piece[:n]), "x") != "" {
				t.Fatalf("%q", piece[:n])
			}
			time.Sleep(writeTime / 10)
		}
		if got != size || err != io.EOF {
			t.Errorf("%d bytes came, want %d: %v", got, size, err)
		}
	})
}

func TestDeadlinesReachAConnectionRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, deadlines := clientOf(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })
		r := bufio.NewReader(client)
		for range 1000 {
			sendText(client, postText)
			answerOf(t, r)
			time.Sleep(time.Millisecond)
		}
		if n := deadlines.Load(); n > 10 {
			t.Errorf("%d deadlines were set for 1,000 requests in a second", n)
		}
	})
}
