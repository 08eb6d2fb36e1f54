package delivery

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
)

// request is what a receiver got.
type request struct {
	at     time.Time
	id     string
	body   string
	header http.Header
}

// receiver answers webhooks on pipes, so that the time of a bubble can pass. Its name is the host of its URL.
type receiver struct {
	name string
	// answer is what it says to the n-th request, from 0: a status, or a whole answer; nil is 200.
	answer func(n int) *http.Response
	// delay is how long it takes for that; forever is until the connection is closed.
	delay func(n int) time.Duration

	mu   sync.Mutex
	got  []request
	open int // requests under way
	most int // the most that were
}

const forever = 100 * 365 * 24 * time.Hour

// status is an answer with headers: status(429, "Retry-After", "60").
func status(code int, header ...string) *http.Response {
	r := &http.Response{StatusCode: code, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// always answers every request alike.
func always(code int) func(int) *http.Response {
	return func(int) *http.Response { return status(code) }
}

// serve answers the requests of one connection.
func (r *receiver) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		in, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		body, err := io.ReadAll(in.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		n := len(r.got)
		r.got = append(r.got, request{at: time.Now(), id: in.Header.Get("Webhook-Id"), body: string(body), header: in.Header})
		r.open++
		r.most = max(r.most, r.open)
		r.mu.Unlock()
		gone := make(chan struct{})
		go func() { _, _ = reader.Peek(1); close(gone) }() // the next request, or the end
		if r.delay != nil {
			select {
			case <-time.After(r.delay(n)):
			case <-gone:
			}
		}
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
		answer := status(http.StatusOK)
		if r.answer != nil {
			answer = r.answer(n)
		}
		if answer.Write(conn) != nil {
			return
		}
		<-gone
	}
}

// requests are those that it got, so far.
func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// busy is how many requests are under way, and the most that were since it was last asked with again.
func (r *receiver) busy(again bool) (open, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	open, most = r.open, r.most
	if again {
		r.most = 0
	}
	return open, most
}

// ids are those of the requests, each once.
func (r *receiver) ids() map[string]int {
	ids := map[string]int{}
	for _, q := range r.requests() {
		ids[q.id]++
	}
	return ids
}

// rig is a worker on a fresh database, with receivers.
type rig struct {
	t         *testing.T
	db        *sqldb.DB
	worker    *Worker
	options   Options
	receivers map[string]*receiver
	mu        sync.Mutex // guards notices, from within writes
	notices   []string
	sent      []string // addresses of e-mails
	failures  []string
	events    int
	stop      func()
}

// newRig makes a rig whose worker does not run yet.
func newRig(t *testing.T, db *sqldb.DB) *rig {
	t.Helper()
	r := &rig{t: t, db: db, receivers: map[string]*receiver{}}
	write(t, db, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO app_user (pk, uuid, username, name, email, path, type, is_active, attributes, password,
			date_joined, last_updated, password_change_date) VALUES (1, 'u1', 'ada', 'Ada', 'ada@example.org', 'users', 'internal', TRUE, '{}', '', 0, 0, 0)`)
		return err
	})
	client := outbound.NewClient(outbound.Options{Dial: r.dial, UserAgent: "Belfry"})
	t.Cleanup(client.Close)
	r.options = Options{
		DB: db, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Client: client, Runner: script.NewRunner(),
		Event:   func(*sqldb.Tx, string) (*script.Event, error) { return nil, nil },
		Changed: func(string) {},
		Notice: func(body string) func(*sqldb.Tx) error {
			return func(*sqldb.Tx) error { r.note(&r.notices, body); return nil }
		},
		MailSent: func(to string, _ outbound.Mail) func(*sqldb.Tx) error {
			return func(*sqldb.Tx) error { r.note(&r.sent, to); return nil }
		},
		MappingFailed: func(f *Failure) func(*sqldb.Tx) error {
			return func(*sqldb.Tx) error { r.note(&r.failures, f.Error()); return nil }
		},
	}
	return r
}

func (r *rig) note(list *[]string, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, text)
}

// told are the notices, so far.
func (r *rig) told() []string { return r.noted(&r.notices) }

func (r *rig) noted(list *[]string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(*list)
}

// dial connects with the receiver of that name.
func (r *rig) dial(_ context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	receiver := r.receivers[host]
	if receiver == nil {
		return nil, fmt.Errorf("nobody is %s", host)
	}
	ours, theirs := net.Pipe()
	go receiver.serve(theirs)
	return ours, nil
}

// start runs the worker until the returned func is called, or the test ends.
func (r *rig) start() {
	r.t.Helper()
	worker := NewWorker(r.options)
	r.worker = worker
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { worker.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	r.t.Cleanup(r.stop)
}

// transport makes a webhook transport whose receiver has the same name.
func (r *rig) transport(name string, change func(*Transport)) *receiver {
	r.t.Helper()
	t := newTransport()
	t.PK, t.Name, t.Mode, t.WebhookURL = name, name, ModeWebhook, "http://"+name+"/"
	if change != nil {
		change(&t)
	}
	write(r.t, r.db, func(tx *sqldb.Tx) error { return insertTransport(tx, &t) })
	r.receivers[name] = &receiver{name: name}
	return r.receivers[name]
}

// deliver writes n deliveries by the transports, each of an event of its own, and answers their ids in order.
func (r *rig) deliver(n int, transports ...string) []string {
	r.t.Helper()
	var ids []string
	rule := "rule"
	for range n {
		var all []Delivery
		r.events++
		for _, pk := range transports {
			d := Delivery{PK: sqldb.NewID(), EventPK: fmt.Sprint("event ", r.events), RulePK: &rule, RuleName: rule, TransportName: pk,
				Username: "ada", TransportPK: pk, UserPK: 1, Mode: ModeWebhook, State: StatePending, Severity: "alert",
				Summary: "It happened", Body: fmt.Sprintf(`{"n":%d}`, r.events), Due: new(int64)}
			all, ids = append(all, d), append(ids, d.PK)
		}
		write(r.t, r.db, func(tx *sqldb.Tx) error { return Insert(tx, all) })
	}
	if r.worker != nil {
		r.worker.Wake(transports...)
	}
	return ids
}

// get reads a delivery.
func (r *rig) get(id string) Delivery {
	r.t.Helper()
	var d Delivery
	err := r.db.Read(r.t.Context(), func(tx *sqldb.Tx) (err error) {
		d, err = sqldb.One(tx, scanDelivery, `SELECT `+deliveryColumns+` FROM delivery WHERE pk = $1`, id)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// want checks a delivery's state and how many attempts it had.
func (r *rig) want(id, state string, attempts int64) Delivery {
	r.t.Helper()
	d := r.get(id)
	if d.State != state || d.Attempts != attempts {
		r.t.Errorf("the delivery is %s after %d attempts (%s), want %s after %d", d.State, d.Attempts, d.Reason, state, attempts)
	}
	return d
}

func (r *rig) exec(query string, args ...any) {
	r.t.Helper()
	write(r.t, r.db, func(tx *sqldb.Tx) error { _, err := tx.Exec(query, args...); return err })
}

func write(t *testing.T, db *sqldb.DB, fn func(tx *sqldb.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, db *sqldb.DB, fn func(tx *sqldb.Tx) error) {
	t.Helper()
	if err := db.Read(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// eachRig runs a test that needs no virtual time on every database.
func eachRig(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { test(t, newRig(t, db)) })
}

// bubble runs a test in virtual time, on SQLite: a server's answers cannot be waited for in a bubble.
func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newRig(t, sqldbtest.Open(t, sqldb.Options{}))) })
}

// after lets time pass until everything that follows from it has happened.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestTenAttemptsInTheScheduleOfThreeDays lets a receiver fail always, and measures every wait from the end of the attempt before.
func TestTenAttemptsInTheScheduleOfThreeDays(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		const slow = 3 * time.Second // an attempt takes this long: the waits begin at its end
		in := r.transport("ops", nil)
		in.answer, in.delay = always(503), func(int) time.Duration { return slow }
		id := r.deliver(1, "ops")[0]
		r.start()
		after(100 * time.Hour)
		d := r.want(id, StateDead, 10)
		if want := "given up after 10 attempts: the receiver answered 503 Service Unavailable"; d.Reason != want {
			t.Errorf("the reason is %q, want %q", d.Reason, want)
		}
		got := in.requests()
		if len(got) != 10 {
			t.Fatalf("%d attempts, want 10", len(got))
		}
		for i, want := range []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
			10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour} {
			wait := got[i+1].at.Sub(got[i].at) - slow
			if wait < want-want/10 || wait > want+want/10+50*time.Millisecond {
				t.Errorf("wait %d took %v, want %v ± 10 %%", i+1, wait, want)
			}
		}
		for i, q := range got {
			if q.id != id || q.body != got[0].body {
				t.Errorf("attempt %d had another id or body: %s %s", i+1, q.id, q.body)
			}
			if want := fmt.Sprint(q.at.Unix()); q.header.Get("Webhook-Timestamp") != want {
				t.Errorf("attempt %d had the timestamp %s, want %s", i+1, q.header.Get("Webhook-Timestamp"), want)
			}
		}
		var numbers []int64
		_ = r.db.Read(t.Context(), func(tx *sqldb.Tx) (err error) {
			numbers, err = sqldb.All(tx, func(s sqldb.Scanner) (n int64, err error) { return n, s.Scan(&n) },
				`SELECT number FROM delivery_attempt WHERE status = 503 ORDER BY number`)
			return err
		})
		if !slices.Equal(numbers, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
			t.Errorf("the log holds the attempts %v", numbers)
		}
	})
}
