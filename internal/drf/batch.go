package drf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// The bounds of a batch. Each of its elements is bounded as a body is.
const (
	maxBatch    = 64 << 20 // bytes
	maxElements = 100_000
	batchBuffer = 64 << 10
	// stepTime is what a client gets for each maxBody bytes of a batch: as long as for a body elsewhere.
	stepTime = 30 * time.Second
	// interruptTime is how long a read of a batch may still wait that is of no use any more. One that is cut off at once loses
	// its place in the body, and the rest cannot be dropped.
	interruptTime = 500 * time.Millisecond
	// drainTime is for how long the rest of a batch is read that is of no use any more.
	drainTime = 3 * time.Second
)

// LineTypes are the media types of JSON texts, one a line.
var LineTypes = []string{"application/x-ndjson", "application/jsonl", "application/ndjson"}

// Batch is a body of many elements: one JSON array, or JSON texts, one a line. It is read as it comes and never held whole.
// An error takes nothing back of what was read before it: elements stand for themselves.
type Batch struct {
	Number int    // of the last element, from 1: of its line, or in the array
	Text   []byte // of the last element, until the next one is read; nil for one that is too large

	body    io.Reader
	patient *patient // reads body
	in      *bufio.Reader
	control *http.ResponseController
	scan    func(*Batch) error // reads the next element
	count   int
	long    []byte // the bytes of an element that are in the reader's buffer no more

	array bool // what follows is about arrays only
	begun place
	at    place // behind what was read
}

// ReadBatch begins to read the request's body. The error is 415 for a type that is neither JSON nor one of [LineTypes], 413
// for a body that says itself that it is too large. One without a byte has no elements, whatever it calls itself. A first part
// of the body is there then: a client that sends nothing was waited for here.
func ReadBatch(w http.ResponseWriter, r *http.Request) (*Batch, error) {
	if r.ContentLength > maxBatch {
		return nil, tooLarge(maxBatch)
	}
	b := &Batch{control: http.NewResponseController(w), body: http.MaxBytesReader(w, r.Body, maxBatch)}
	b.patient = &patient{in: b.body, control: b.control}
	b.in = bufio.NewReaderSize(b.patient, batchBuffer)
	contentType := r.Header.Get("Content-Type")
	switch media := mediaType(contentType); {
	case media == jsonType:
		b.scan, b.array = (*Batch).enter, true
	case slices.Contains(LineTypes, media):
		b.scan = (*Batch).nextLine
	}
	switch _, err := b.in.Peek(1); {
	case err == io.EOF:
		b.scan = (*Batch).end
	case err != nil:
		return nil, unreadable(err)
	case b.scan == nil:
		return nil, unsupported(contentType)
	}
	_, _ = b.in.Peek(batchBuffer) // what is wrong with the body comes again when that is read
	return b, nil
}

// Next reads the next element; io.EOF at the end. Any other error is the answer to the request: 400 where no element can be
// made out, 413 beyond the bounds.
func (b *Batch) Next() error {
	if err := b.scan(b); err != nil {
		return err
	}
	if b.count++; b.count > maxElements {
		return Detail(http.StatusRequestEntityTooLarge, fmt.Sprintf("Too many elements in one body: at most %d.", maxElements))
	}
	return nil
}

// end is the scan behind the last element.
func (b *Batch) end() error { return io.EOF }

// Interrupt ends the reading of the body, at once where more of it comes and soon where the client is silent. Unlike the other
// methods it may be called from any goroutine.
func (b *Batch) Interrupt() { b.patient.interrupt() }

// Drain drops the rest of the body, as far as it comes soon: a client that is still sending may not see an answer, but only
// that the connection is gone.
func (b *Batch) Drain() {
	_ = b.control.SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.Copy(io.Discard, b.body)
}

// DecodeElement reads the last element of a batch as [Serializer.Decode] reads a body. The error answers the whole request: an
// array that is no JSON at one place is none at all.
func (s *Serializer[M, P]) DecodeElement(b *Batch, mode Mode) (Input[P], error) {
	if b.Text == nil {
		return Input[P]{errs: &Errors{fatal: tooLarge(maxBody)}}, nil
	}
	v, members, syntax := parse(b.Text)
	switch {
	case syntax == nil:
		return s.decodeBody(v, members, mode), nil
	case b.array:
		return Input[P]{}, syntax.answer(b.begun, b.Text)
	}
	return Input[P]{errs: &Errors{fatal: syntax.answer(place{}, b.Text)}}, nil
}

// nextLine reads a line that is not blank.
func (b *Batch) nextLine() error {
	for {
		line, err := b.line()
		if err != nil {
			return err
		}
		b.Number++
		switch {
		case len(line) > maxBody:
			b.Text = nil
		case len(trimSpace(line)) == 0:
			continue
		default:
			b.Text = line
		}
		return nil
	}
}

// line reads a line without its end; of one that is too long, more than maxBody bytes. The last line may have no end.
func (b *Batch) line() ([]byte, error) {
	b.long = b.long[:0]
	for {
		part, err := b.in.ReadSlice('\n')
		full := err == bufio.ErrBufferFull
		switch {
		case full:
		case err == nil:
			part = part[:len(part)-1]
		case err != io.EOF || len(part)+len(b.long) == 0:
			return nil, unreadable(err)
		}
		if !full && len(b.long) == 0 {
			return part, nil
		}
		b.keep(part)
		if !full {
			return b.long, nil
		}
	}
}

// keep adds bytes to the element that is being read, until there are too many.
func (b *Batch) keep(part []byte) {
	if len(b.long) <= maxBody {
		b.long = append(b.long, part...)
	}
}

// patient reads a body whose client may take stepTime for each maxBody bytes. What the server takes between two reads does
// not count.
type patient struct {
	in      io.Reader
	control *http.ResponseController
	left    time.Duration // of the step's time
	rest    int           // of the step's bytes
	ended   error         // what the last read answered; nil while there is more

	mu          sync.Mutex // guards the deadline until it is set for good
	interrupted bool
}

// errInterrupted is the answer to a read after an interrupt: nothing is read.
var errInterrupted = errors.New("the reading of a body was interrupted")

// Read implements io.Reader. Once the body has ended it leaves the deadline alone, because the connection is net/http's again, which
// watches the client.
func (p *patient) Read(to []byte) (int, error) {
	if p.ended != nil {
		return 0, p.ended
	}
	if p.rest <= 0 {
		p.left, p.rest = stepTime, maxBody
	}
	begin := time.Now()
	if err := p.begin(begin.Add(p.left)); err != nil {
		return 0, err
	}
	n, err := p.in.Read(to)
	p.left -= time.Since(begin)
	p.rest -= n
	p.ended = err
	return n, err
}

// begin sets the deadline of a read, unless none is wanted any more.
func (p *patient) begin(deadline time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.interrupted {
		return errInterrupted
	}
	_ = p.control.SetReadDeadline(deadline) // what has no deadlines, as a recorder in a test, needs none
	return nil
}

// interrupt lets no further read begin, and the one that waits wait no longer than interruptTime.
func (p *patient) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interrupted = true
	_ = p.control.SetReadDeadline(time.Now().Add(interruptTime))
}

// place is a place in a body, as Python counts: by characters.
type place struct{ lines, column, characters int }

// pass moves the place behind text.
func (p *place) pass(text []byte) {
	for _, c := range text {
		if !utf8.RuneStart(c) {
			continue
		}
		p.column++
		p.characters++
		if c == '\n' {
			p.lines, p.column = p.lines+1, 0
		}
	}
}

// unreadable is the answer to a body that cannot be read on; io.EOF stays what it is.
func unreadable(err error) error {
	if limit, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit.Limit)
	}
	if err == io.EOF {
		return err
	}
	return Detail(http.StatusBadRequest, "The request body could not be read to its end.")
}
