package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"belfry/internal/live"
	"belfry/internal/sqldb"
)

// sends posts lines that a writer gives bit by bit, in a bubble, and answers when the answer is there.
func sends(t *testing.T, client *http.Transport, body io.Reader) reply {
	t.Helper()
	request, err := http.NewRequest("POST", "http://belfry"+batchPath, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", asLines)
	request.Header.Set("Authorization", "Bearer "+adminKey)
	defer request.Body.Close() // the transport may still wait for more of it
	answer, err := client.RoundTrip(request)
	if err != nil {
		return reply{text: err.Error()}
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return reply{status: answer.StatusCode, text: string(text)}
}

// slowly gives parts of a body, with a pause behind each, until it is closed.
func slowly(pause time.Duration, parts ...string) io.Reader {
	in, out := io.Pipe()
	closed := make(chan struct{})
	body := &slowBody{in, sync.OnceFunc(func() { close(closed) })}
	go func() {
		defer out.Close()
		for _, part := range parts {
			if part == forEver {
				<-closed
				return
			}
			if _, err := io.WriteString(out, part); err != nil {
				return
			}
			select {
			case <-time.After(pause):
			case <-closed:
				return
			}
		}
	}()
	return body
}

// forEver is a part of a slow body that never comes.
const forEver = "for ever"

type slowBody struct {
	*io.PipeReader
	stop func()
}

// Close is called by the transport and by the test.
func (b *slowBody) Close() error {
	b.stop()
	return b.PipeReader.Close()
}

// TestASlowUploadLastsAsLongAsItGoesOn sends a MiB in less than its time, again and again, for longer than any other request may take.
func TestASlowUploadLastsAsLongAsItGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		line := `{"action":"login","app":"x","context":"` + strings.Repeat("x", 512<<10) + "\"}\n"
		parts := make([]string, 16)
		for i := range parts {
			parts[i] = line
		}
		began := time.Now()
		r := sends(t, client, slowly(13*time.Second, parts...))
		if r.status != 200 || !strings.HasPrefix(r.text, `{"created":16,`) || time.Since(began) < 3*time.Minute {
			t.Errorf("%d %s after %v", r.status, r.text, time.Since(began))
		}
	})
}

// TestAnUploadThatStandsStillIsClosed waits for clients that send nothing any more, or too little.
func TestAnUploadThatStandsStillIsClosed(t *testing.T) {
	line := `{"action":"login","app":"x"}` + "\n"
	half := `{"action":"login","app":"x","context":"` + strings.Repeat("x", 512<<10) + "\"}\n"
	for name, test := range map[string]struct {
		pause    time.Duration
		parts    []string
		progress time.Duration // for how long it goes on well
	}{
		"nothing at all":          {0, []string{forEver}, 0},
		"a line, then nothing":    {0, []string{line, forEver}, 0},
		"much, then nothing":      {0, []string{strings.Repeat(line, 1<<20/len(line)-1), forEver}, 0},
		"a line every second":     {time.Second, strings.SplitAfter(strings.Repeat(line, 3600), "\n"), 0},
		"half a line, for ever":   {time.Second, strings.Split(strings.Repeat("x,", 3600), ","), 0},
		"a minute's, then a stop": {13 * time.Second, []string{half, half, half, half, half, half, forEver}, 5 * 13 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
				began := time.Now()
				r := sends(t, client, slowly(test.pause, test.parts...))
				if took := time.Since(began) - test.progress; r.status == 200 || took > 35*time.Second || took < 29*time.Second {
					t.Errorf("%d %s after %v", r.status, r.text, took)
				}
				synctest.Wait()
				if n := len(s.uploads.places); n != 0 {
					t.Errorf("%d uploads still have a place", n)
				}
			})
		})
	}
}

// TestTheTimeThatTheServerTakesIsNotTheClients keeps the writer busy for longer than a client has.
func TestTheTimeThatTheServerTakesIsNotTheClients(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		release := occupy(t, s.db)
		time.AfterFunc(2*time.Minute, release)
		line := `{"action":"login","app":"x","context":"` + strings.Repeat("x", 900<<10) + "\"}\n"
		if r := sends(t, client, strings.NewReader(strings.Repeat(line, 12))); r.status != 200 || !strings.HasPrefix(r.text, `{"created":12,`) {
			t.Errorf("%d %s", r.status, r.text)
		}
	})
}

// occupy keeps the writer busy until it is released.
func occupy(t *testing.T, db *sqldb.DB) (release func()) {
	t.Helper()
	begun, done := make(chan struct{}), make(chan struct{})
	go func() {
		err := db.Write(context.Background(), func(*sqldb.Tx) error {
			close(begun)
			<-done
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-begun
	return sync.OnceFunc(func() { close(done) })
}

// TestOneChunkOfAllUploadsWaitsToBeWritten starts more uploads than have a place while the writer is busy.
func TestOneChunkOfAllUploadsWaitsToBeWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		release := occupy(t, s.db)
		var all sync.WaitGroup
		lines := strings.Join(keyed(3000, "login"), "\n")
		for i := range maxUploads + 4 {
			all.Go(func() {
				if r := sends(t, client, strings.NewReader(strings.ReplaceAll(lines, "-4000-8000-", fmt.Sprintf("-4000-9%03x-", i)))); r.status != 200 || !strings.HasPrefix(r.text, `{"created":3000,`) {
					t.Errorf("%d %.200s", r.status, r.text)
				}
			})
		}
		synctest.Wait()
		if waiting, places := s.db.Waiting(), len(s.uploads.places); waiting != 1 || places != maxUploads {
			t.Errorf("%d writes wait, of %d uploads", waiting, places)
		}
		release()
		all.Wait()
		if len(s.uploads.places) != 0 || len(s.uploads.writing) != 0 {
			t.Error("an upload has left something behind")
		}
	})
}

// TestAnUploadWithoutAPlaceIsTurnedAway waits behind uploads that do not end.
func TestAnUploadWithoutAPlaceIsTurnedAway(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		for range maxUploads {
			s.uploads.places <- struct{}{}
		}
		began := time.Now()
		r := sends(t, client, strings.NewReader(`{"action":"login","app":"x"}`))
		if r.status != 503 || !strings.Contains(r.text, "Too many uploads") || time.Since(began) != placeTime {
			t.Errorf("%d %s after %v", r.status, r.text, time.Since(began))
		}
	})
}

// TestStoppingEndsUploads stops the server while an upload waits for its client, and one for the writer.
func TestStoppingEndsUploads(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		var all sync.WaitGroup
		began := time.Now()
		first := `{"pk":"` + keyOf(1) + `","action":"login","app":"x"}` + "\n"
		all.Go(func() {
			r := sends(t, client, slowly(10*time.Second, strings.Repeat(first, 3000), first))
			if r.status != 503 || !strings.Contains(r.text, "shutting down") {
				t.Errorf("%d %s", r.status, r.text)
			}
		})
		time.Sleep(time.Second)
		s.endStreams()
		all.Wait()
		if took := time.Since(began); took > 2*time.Second { // a client that is silent gets a moment to go on
			t.Errorf("it took %v", took)
		}
		if r := sends(t, client, strings.NewReader(first)); r.status != 503 {
			t.Errorf("an upload after the end: %d %s", r.status, r.text)
		}
	})
}

// TestSIGTERMEndsAnUpload stops the program while an upload goes on, and reads its answer.
func TestSIGTERMEndsAnUpload(t *testing.T) {
	p := &program{t: t, database: filepath.Join(t.TempDir(), "belfry.db")}
	p.start()
	stopped := make(chan time.Time, 1)
	stop := sync.OnceFunc(func() {
		stopped <- time.Now()
		if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	ended := make(chan struct{})
	defer close(ended)
	lines := strings.Join(keyed(50_000, "login"), "\n")
	request, err := http.NewRequest("POST", p.url+batchPath, io.MultiReader(strings.NewReader(lines), readerFunc(func([]byte) (int, error) {
		stop() // the body does not end, and nothing comes any more
		<-ended
		return 0, io.EOF
	})))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {asLines}, "Authorization": {"Bearer " + adminKey}}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 503 || !strings.Contains(string(text), "shutting down") {
		t.Errorf("%v: %d %s", err, answer.StatusCode, text)
	}
	began := <-stopped
	if err := p.command.Wait(); err != nil || time.Since(began) > 8*time.Second || strings.Contains(p.log.String(), "cut off") {
		t.Errorf("%v after %v: %s", err, time.Since(began), p.log.String())
	}
}

// readerFunc is a function that reads.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(to []byte) (int, error) { return f(to) }

// TestAStorageThatFailsInTheMiddleKeepsWhatItStored fills the disk during an upload, and sends it again when there is room.
func TestAStorageThatFailsInTheMiddleKeepsWhatItStored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		lines := keyed(4000, "login")
		in, out := io.Pipe()
		healing := make(chan func(), 1)
		go func() {
			_, err := io.WriteString(out, strings.Join(lines[:2000], "\n")+"\n")
			if err == nil {
				f.until(500, "SELECT COUNT(*) FROM event")
				var heal func()
				heal, err = f.fillDisk()
				healing <- heal
			}
			if err == nil {
				_, err = io.WriteString(out, strings.Join(lines[2000:], "\n"))
			}
			out.CloseWithError(err)
		}()
		r := f.upload(asLines, in)
		if r.status != 503 || !strings.Contains(r.text, "what it had stored of this upload until then is kept") || r.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", r.status, r.text)
		}
		stored := f.number("SELECT COUNT(*) FROM event")
		if stored < 500 || stored == 4000 {
			t.Errorf("%d events are stored", stored)
		}
		(<-healing)()
		if answer := f.uploads(lines...); answer.Existing != stored || answer.Created != 4000-stored {
			t.Errorf("%d exist and %d were created, after %d", answer.Existing, answer.Created, stored)
		}
	})
}

// fillDisk makes the storage refuse what is written, as a full disk does, until it is healed.
func (f *fixture) fillDisk() (heal func(), err error) {
	exec := func(statements ...string) error {
		return f.db.Write(context.Background(), func(tx *sqldb.Tx) error {
			for _, statement := range statements {
				if _, err := tx.Exec(statement); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if !f.db.Postgres() {
		return func() {}, exec("PRAGMA max_page_count = 1") // as many as there are; the next connection knows nothing of it
	}
	err = exec(`CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$ LANGUAGE plpgsql`,
		`CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()`)
	return func() {
		if err := exec("DROP TRIGGER refuse ON event"); err != nil {
			f.t.Error(err)
		}
	}, err
}

// TestAPanicStaysInItsUpload panics where the hints of a chunk are told, in a goroutine that is not the request's.
func TestAPanicStaysInItsUpload(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		publish := f.server.recorder.publish
		f.server.recorder.publish = func(...live.Hint) { panic("on purpose") }
		if r := f.upload(asLines, strings.NewReader(`{"action":"login","app":"x"}`)); r.status != 500 {
			t.Errorf("%d %s", r.status, r.text)
		}
		f.server.recorder.publish = publish
		if answer := f.uploads(`{"action":"login","app":"x"}`); answer.Created != 1 || len(f.server.uploads.places) != 0 {
			t.Errorf("%+v", answer)
		}
	})
}

// TestRulesMadeWhileABatchIsPreparedStillFire changes the rules between the preparing of a chunk and its write.
func TestRulesMadeWhileABatchIsPreparedStillFire(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.notified("full") // the snapshot is loaded
		f.forget()
		recorder := f.server.recorder
		var lines []*batchLine
		for range 250 {
			p, err := recorder.prepare(t.Context(), Event{Action: "custom_late", App: "x", User: "{}", Context: "{}", Brand: "{}", Origin: OriginAPI})
			if err != nil || len(p.outcome.notifications) != 0 {
				t.Fatalf("%d notifications, %v", len(p.outcome.notifications), err)
			}
			lines = append(lines, &batchLine{plan: p})
		}
		alice, _ := f.user("alice", "inbox")
		f.notifyUser(alice, "late") // a rule for custom_late, made meanwhile
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error { return recorder.commitAll(gone, tx, lines) })
		if err != nil || f.waiting() != 250 {
			t.Fatalf("%v: %d events wait", err, f.waiting())
		}
		// Whoever wrote them has gone. They were written at one time, and are more than are looked at in one go.
		if err := recorder.matchLeft(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if n := f.number("SELECT COUNT(*) FROM notification WHERE user_pk = $1", alice); n != 251 || f.waiting() != 0 {
			t.Errorf("%d notifications, %d events wait", n, f.waiting())
		}
		for _, l := range lines {
			l.plan.event.PK = sqldb.NewID()
		}
		if err := f.db.Write(t.Context(), func(tx *sqldb.Tx) error { return recorder.commitAll(t.Context(), tx, lines) }); err != nil {
			t.Fatal(err)
		}
		if n := f.number("SELECT COUNT(*) FROM notification WHERE user_pk = $1", alice); n != 501 || f.waiting() != 0 {
			t.Errorf("%d notifications at once, %d events wait", n, f.waiting())
		}
	})
}

// TestHintsOfABatchAreToldAtOnce counts how often readers hear of an upload.
func TestHintsOfABatchAreToldAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		told := make(chan []live.Hint, 1000)
		f.server.recorder.publish = func(hints ...live.Hint) { told <- hints }
		once := func(of string, n int) []live.Hint {
			t.Helper()
			if len(told) != 1 {
				t.Fatalf("readers are told %d times of %s", len(told), of)
			}
			hints := <-told
			if len(hints) != n {
				t.Fatalf("of %s: %v", of, hints)
			}
			return hints
		}
		f.server.uploads.rows.Store(chunkRows)
		few := f.uploads(`{"action":"login","app":"x"}`, `{"action":"configuration_error","app":"x"}`, `{}`)
		hints := once("two events, a notification and a delivery", 4)
		if hints[0] != (live.Hint{Kind: kindEvent, ID: *few.PKs[0]}) || hints[2].Owner != 1 || hints[2].Kind != kindNotification || hints[2].ID == "" {
			t.Errorf("of two events: %v", hints)
		}
		f.server.uploads.rows.Store(chunkRows)
		f.uploads(keyed(300, "configuration_error")...)
		for _, h := range once("many events", 3) {
			if h != (live.Hint{Kind: kindEvent}) && h != (live.Hint{Kind: kindDelivery}) && h != (live.Hint{Kind: kindNotification, Owner: 1}) {
				t.Errorf("of many events: %v", h)
			}
		}
		f.uploads(keyed(300, "configuration_error")...)
		if len(told) != 0 {
			t.Errorf("of nothing new: %v", <-told)
		}
	})
}

// TestAnUploadIsNeverHeldWhole looks at the memory in the middle of an upload that is as large as one may be.
func TestAnUploadIsNeverHeldWhole(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		live := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		line := []byte(`{"action":"login","app":"x","context":"` + strings.Repeat("x", 1<<20-100) + "\"}\n")
		before := live()
		var most atomic.Uint64
		in, out := io.Pipe()
		go func() {
			var err error
			for i := 0; i < 60 && err == nil; i++ {
				_, err = out.Write(line)
				if i%10 == 9 {
					most.Store(max(most.Load(), live()))
				}
			}
			out.CloseWithError(err)
		}()
		if r := f.upload(asLines, in); r.status != 200 || r.get("created") != float64(60) {
			t.Fatalf("%d %.200s", r.status, r.text)
		}
		if held := int64(most.Load()) - int64(before); held > 45<<20 { // of what is under way there are several copies, two chunks at a time
			t.Errorf("%d MiB are held of an upload of 60", held>>20)
		}
	})
}

// TestAClientThatHangsUpIsNobodysError ends a request while its chunk waits: for the writer, or for its turn to wait for it.
func TestAClientThatHangsUpIsNobodysError(t *testing.T) {
	for name, busy := range map[string]func(t *testing.T, s *server) (release func()){
		"the writer": func(t *testing.T, s *server) func() { return occupy(t, s.db) },
		"its turn": func(_ *testing.T, s *server) func() {
			s.uploads.writing <- struct{}{}
			return func() { <-s.uploads.writing }
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
				release := busy(t, s)
				turns := len(s.uploads.writing)
				hangUp, failed := begin(t, client, strings.NewReader(`{"action":"login","app":"x"}`))
				synctest.Wait()
				if len(s.uploads.places) != 1 {
					t.Error("the upload has no place")
				}
				hangUp()
				if err := <-failed; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				time.Sleep(time.Second) // those who wait for the writer are looked through now and then
				synctest.Wait()
				if places, turned := len(s.uploads.places), len(s.uploads.writing); places != 0 || turned != turns {
					t.Errorf("the upload holds %d places, and %d turns", places, turned)
				}
				release()
				synctest.Wait()
				var n int
				if err := s.db.Read(t.Context(), func(tx *sqldb.Tx) error { return tx.Row("SELECT COUNT(*) FROM event", nil, &n) }); err != nil || n != 0 {
					t.Errorf("%d events were stored for nobody: %v", n, err)
				}
			})
		})
	}
}

// begin posts a body until it hangs up.
func begin(t *testing.T, client *http.Transport, body io.Reader) (hangUp func(), failed <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "POST", "http://belfry"+batchPath, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {asLines}, "Authorization": {"Bearer " + adminKey}}
	ended := make(chan error, 1)
	go func() {
		answer, err := client.RoundTrip(request)
		if err == nil {
			answer.Body.Close()
		}
		ended <- err
	}()
	return func() {
		cancel()
		request.Body.Close() // the transport may still wait for more of it
	}, ended
}

// TestAClientThatSendsNothingYetTakesNoPlace has more of them than there are places.
func TestAClientThatSendsNothingYetTakesNoPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, s *server, client *http.Transport) {
		line := `{"action":"login","app":"x"}` + "\n"
		var hangUps []func()
		for i := range 2 * maxUploads {
			hangUp, _ := begin(t, client, slowly(0, []string{line, ""}[i%2], forEver))
			hangUps = append(hangUps, hangUp)
		}
		synctest.Wait()
		began := time.Now()
		if r := sends(t, client, strings.NewReader(line)); r.status != 200 || time.Since(began) > time.Second || len(s.uploads.places) != 0 {
			t.Errorf("%d %s after %v, and %d places are taken", r.status, r.text, time.Since(began), len(s.uploads.places))
		}
		for _, hangUp := range hangUps {
			hangUp()
		}
		synctest.Wait()
	})
}
