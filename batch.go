package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// The bounds of uploads. A chunk is what one write stores of an upload.
const (
	maxUploads = 16               // that are read at the same time
	placeTime  = 30 * time.Second // that an upload waits to be one of them
	chunkRows  = 1000             // of a chunk: its lines, and what follows from them
	fewestRows = 50
	chunkBytes = 2 << 20 // of the texts of a chunk
	// chunksBytes is of all uploads, of which each has two chunks in memory: the more there are, the smaller those are.
	chunksBytes = 8 << 20
	// chunkTime is what the statements of a chunk may take, so that other writes wait briefly. To commit a chunk and to move it
	// from the log into the database takes three times as long, and a write may wait for two chunks.
	chunkTime = 8 * time.Millisecond
	// refusalBytes bounds what is said of the refused lines of an upload.
	refusalBytes = 4 << 20
)

// uploads are all that is under way.
type uploads struct {
	places  chan struct{} // holds one value for each upload
	writing chan struct{} // holds one value while a chunk waits to be written, or is
	rows    atomic.Int64  // of the next chunks, by how long the last ones took
	ending  context.Context
	end     context.CancelFunc // lets no chunk begin any more
}

func newUploads() *uploads {
	u := &uploads{places: make(chan struct{}, maxUploads), writing: make(chan struct{}, 1)}
	u.ending, u.end = context.WithCancel(context.Background())
	u.rows.Store(chunkRows / 4)
	return u
}

// enter waits for a place among the uploads. Whoever was let in leaves. Nobody is once the server stops.
func (u *uploads) enter(ctx context.Context) (leave func(), err error) {
	if u.ending.Err() != nil {
		return nil, sqldb.ErrClosed
	}
	full := drf.Unavailable("Too many uploads are under way. Try again.", time.Second, nil)
	ctx, cancel := context.WithTimeoutCause(ctx, placeTime, full)
	defer cancel()
	return pass(ctx, u.places)
}

// pass waits until there is room in a gate, or ctx ends.
func pass(ctx context.Context, gate chan struct{}) (leave func(), err error) {
	select {
	case gate <- struct{}{}:
		return func() { <-gate }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// bytes is how large the chunks of an upload may be at present.
func (u *uploads) bytes() int { return min(chunkBytes, chunksBytes/max(1, len(u.places))) }

// note sets the size of the next chunks by what one took of the writer's time. A small one says little.
func (u *uploads) note(rows int, took time.Duration) {
	if rows < fewestRows {
		return
	}
	fits := int64(float64(rows) * float64(chunkTime) / float64(max(took, time.Microsecond)))
	before := u.rows.Load()
	u.rows.Store(min(max((before+fits)/2, fewestRows), chunkRows))
}

// upload is one batch on its way into the database: one goroutine reads and prepares a chunk while another has the one before
// written.
type upload struct {
	server *server
	caller identity.Caller
	body   *drf.Batch
	origin Origin

	pks     []uuid.NullUUID // of all lines, null for those that were refused when they were read
	refused []refusedLine   // never nil
	said    int             // bytes in refused

	created, existing int64
	taken             []place // of the lines whose keys belong to other events
}

// chunk is a part of an upload, ready to be written.
type chunk struct {
	lines       []*batchLine
	rows, bytes int
}

// run stores the upload. An error leaves what was written before it.
func (u *upload) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer context.AfterFunc(u.server.uploads.ending, func() { fail(sqldb.ErrClosed) })()
	chunks := make(chan *chunk)
	var writer sync.WaitGroup
	writer.Go(func() {
		for c := range chunks {
			if err := u.guard(func() error { return u.write(ctx, c) }); err != nil {
				fail(err)
				return
			}
		}
	})
	err := u.readUntil(ctx, chunks)
	close(chunks)
	writer.Wait()
	if cause := context.Cause(ctx); cause != nil && (err == nil || !errors.Is(cause, context.Canceled)) {
		return cause
	}
	return err
}

// readUntil is read, which ends with ctx also where it waits for the client.
func (u *upload) readUntil(ctx context.Context, chunks chan<- *chunk) error {
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		u.body.Interrupt()
		close(interrupted)
	})
	err := u.guard(func() error { return u.read(ctx, chunks) })
	if !stop() {
		<-interrupted // it must not hit what the connection is used for next
	}
	return err
}

// guard keeps a panic inside the upload.
func (*upload) guard(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in an upload: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// read reads the body to its end and hands it over in chunks. Before an error it hands over what was read until then.
func (u *upload) read(ctx context.Context, chunks chan<- *chunk) error {
	for {
		c, end := u.next(ctx)
		if len(c.lines) > 0 {
			select {
			case chunks <- c:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if end == io.EOF {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// next reads and prepares a chunk; with io.EOF the last one.
func (u *upload) next(ctx context.Context) (*chunk, error) {
	uploads := u.server.uploads
	rows, bytes := int(uploads.rows.Load()), uploads.bytes()
	c := &chunk{}
	for c.rows < rows && c.bytes < bytes {
		if err := u.body.Next(); err != nil {
			return c, err
		}
		if err := u.line(ctx, c); err != nil {
			return c, err
		}
	}
	return c, nil
}

// line adds the line that was read to a chunk, or to the refused ones.
func (u *upload) line(ctx context.Context, c *chunk) error {
	in, err := batchEventSerializer.DecodeElement(u.body, drf.Create)
	if err != nil {
		return err
	}
	if refused, ok := errors.AsType[*drf.Error](in.Err()); ok {
		return u.refuse(u.body.Number, refused)
	}
	e := newEvent(in.Patch.EventPatch, u.origin)
	e.PK = in.Patch.PK.Value
	p, err := u.server.recorder.prepare(ctx, e)
	if err != nil {
		return err
	}
	c.add(&batchLine{plan: p, place: place{number: u.body.Number, at: len(u.pks)}})
	u.pks = append(u.pks, uuid.NullUUID{UUID: uuid.MustParse(p.event.PK), Valid: true})
	return nil
}

// refuse notes why a line is refused.
func (u *upload) refuse(line int, why *drf.Error) error {
	if u.said += len(why.Body); u.said > refusalBytes {
		return tooMuch(line)
	}
	u.pks = append(u.pks, uuid.NullUUID{})
	u.refused = append(u.refused, refusedLine{line: int64(line), errors: drf.JSON(why.Body)})
	return nil
}

// tooMuch is the answer to an upload of which too much is refused.
func tooMuch(line int) *drf.Error {
	return drf.Detail(http.StatusBadRequest, fmt.Sprintf("Too much is wrong to say it all: up to line %d it takes more than %d bytes. "+
		"What stands before that line and is right is stored.", line, refusalBytes))
}

// add adds a line with all that follows from it.
func (c *chunk) add(l *batchLine) {
	e, o := &l.plan.event, l.plan.outcome
	c.lines = append(c.lines, l)
	c.rows++
	c.bytes += len(e.User) + len(e.Context) + len(e.Brand) + len(l.plan.columns.folded)
	if o == nil {
		return
	}
	c.rows += len(o.notifications) + len(o.deliveries) + len(o.events)
	for i := range o.notifications {
		c.bytes += len(o.notifications[i].Body) + len(o.notifications[i].folded)
	}
	for i := range o.deliveries {
		c.bytes += len(o.deliveries[i].Body) + len(o.deliveries[i].Summary)
	}
}

// may looks at the caller's rights anew: an upload lasts long, and they may have been taken away.
func (u *upload) may(ctx context.Context) error {
	caller, ok, err := u.server.identity.Again(ctx, u.caller)
	switch {
	case err != nil:
		return err
	case !ok && u.caller.SessionPK != "":
		return drf.NoCredentials()
	case !ok:
		return drf.BadToken()
	case !ingest.allows(caller, http.MethodPost):
		return drf.Forbidden()
	}
	return nil
}

// write writes a chunk, as the only one in the queue of writes.
func (u *upload) write(ctx context.Context, c *chunk) error {
	uploads := u.server.uploads
	if err := u.may(ctx); err != nil {
		return err
	}
	leave, err := pass(ctx, uploads.writing)
	if err != nil {
		return err
	}
	defer leave()
	byKey(c.lines)
	var took time.Duration
	err = u.server.db.Write(ctx, func(tx *sqldb.Tx) error {
		begin := time.Now()
		defer func() { took = time.Since(begin) }()
		return u.server.recorder.commitAll(ctx, tx, c.lines)
	})
	if err != nil {
		return err
	}
	uploads.note(c.rows, took)
	for _, l := range c.lines {
		switch l.fate {
		case fateCreated:
			u.created++
		case fateExisting:
			u.existing++
		case fateTaken:
			u.taken = append(u.taken, l.place)
			if len(u.taken)*len(keyTaken) > refusalBytes {
				return tooMuch(l.number)
			}
		}
	}
	return nil
}

// answer says what became of the upload, once it is done.
func (u *upload) answer() batchAnswer {
	for _, l := range u.taken {
		u.pks[l.at] = uuid.NullUUID{}
		u.refused = append(u.refused, refusedLine{line: int64(l.number), errors: keyTaken})
	}
	slices.SortFunc(u.refused, func(a, b refusedLine) int { return cmp.Compare(a.line, b.line) })
	return batchAnswer{created: u.created, existing: u.existing, pks: u.pks, refused: u.refused}
}

// endStreams ends what would not end by itself: who listens, and uploads.
func (s *server) endStreams() {
	s.hub.Close()
	s.uploads.end()
}
