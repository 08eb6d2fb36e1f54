package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// batchPatch is an event of a batch, which may bring its key.
type batchPatch struct {
	PK drf.Field[string]
	EventPatch
}

// batchEventSerializer reads an event of a batch.
var batchEventSerializer = drf.NewSerializer("BatchEvent", append([]drf.Def[Event, batchPatch]{
	drf.GivenUUID("pk", func(e *Event) string { return e.PK }, func(p *batchPatch) *drf.Field[string] { return &p.PK },
		drf.Help("What was stored under it with the same content is not stored again.")),
}, drf.Within(EventSerializer.Fields[1:], func(p *batchPatch) *EventPatch { return &p.EventPatch })...)...)

// refusedLine is a line of a batch that was refused, and why.
type refusedLine struct {
	line   int64
	errors drf.JSON // as a single POST of it would have been answered
}

var refusedLineSerializer = drf.NewSerializer("BatchRefusal",
	drf.Int[refusedLine, none]("line", func(r *refusedLine) int64 { return r.line }, nil, drf.Help("Lines count from 1, the blank ones too; so do the elements of an array.")),
	drf.Object[refusedLine, none]("errors", func(r *refusedLine) drf.JSON { return r.errors }, nil),
)

// batchAnswer says what became of a batch.
type batchAnswer struct {
	created, existing int64
	pks               []uuid.NullUUID // null for what was refused
	refused           []refusedLine
}

var batchAnswerSerializer = drf.NewSerializer("BatchAnswer",
	drf.Int[batchAnswer, none]("created", func(a *batchAnswer) int64 { return a.created }, nil),
	drf.Int[batchAnswer, none]("existing", func(a *batchAnswer) int64 { return a.existing }, nil, drf.Help("Those that were stored before, with the same pk and content.")),
	drf.Int[batchAnswer, none]("refused", func(a *batchAnswer) int64 { return int64(len(a.refused)) }, nil),
	drf.NullUUIDs[batchAnswer, none]("pks", func(a *batchAnswer) []uuid.NullUUID { return a.pks }, drf.Help("One for each event, in their order; null for what was refused.")),
	drf.NestedList[batchAnswer, none]("errors", refusedLineSerializer, func(a *batchAnswer) []refusedLine { return a.refused }),
)

// createEvents stores the events of a batch, a chunk at a time. What was stored stays, whatever becomes of the rest.
func (s *server) createEvents(w http.ResponseWriter, r *http.Request) error {
	body, err := drf.ReadBatch(w, r)
	if err != nil {
		return err
	}
	leave, err := s.uploads.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	u := &upload{server: s, caller: identity.CallerOf(r.Context()), body: body, origin: s.originOf(r), refused: []refusedLine{}}
	if err := u.run(r.Context()); err != nil {
		body.Drain()
		w.Header().Set("Connection", "close") // some of the body may still come, or its reading was interrupted
		return inUploadersWords(err)
	}
	answer := u.answer()
	return batchAnswerSerializer.Write(w, r, http.StatusOK, &answer)
}

// inUploadersWords says of a fault of the storage what it means to an upload.
func inUploadersWords(err error) error {
	if errors.Is(err, sqldb.ErrStorage) {
		return drf.Unavailable("The storage failed; what it had stored of this upload until then is kept. See /-/health/ready/.", 5*time.Second, err)
	}
	return err
}
