package main

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/sqldb"
)

// signalsApp is the app that authentik names in the events of sign-ins.
const signalsApp = "authentik.events.signals"

// tell writes into the log what happened to a session. Rules run for it as for any event.
func (s *server) tell(r *http.Request, what identity.Occurrence) error {
	e := Event{User: "{}", Action: what.Action, App: signalsApp, Brand: fallbackBrand, Origin: OriginSystem}
	if what.User != nil {
		e.User = actor(identity.Caller{User: *what.User})
	}
	if what.ClientIP != "" {
		e.ClientIP = &what.ClientIP
	}
	e.Context = withRequest(what.Context, r)
	_, err := s.recorder.record(r.Context(), e)
	return err
}

// withRequest is a context with the request added to its members.
func withRequest(context drf.JSON, r *http.Request) drf.JSON {
	out := []byte(context[:len(context)-1])
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(append(out, `"http_request":`...), requestJSON(r)...)
	return drf.JSON(append(out, '}'))
}

// system is the state of the server, for who looks after it. Times are UTC microseconds.
type system struct {
	started, uptime int64 // uptime in seconds
	database        string
	size            int64 // bytes
	events          int64
	oldest          *int64
	waiting         int64
	pending, dead   int64 // deliveries
	streams         int64
	tasks           []backgroundTask
}

// backgroundTask is something that runs by itself again and again.
type backgroundTask struct {
	name string
	last *int64
}

var systemTaskSerializer = drf.NewSerializer("BackgroundTask",
	drf.Text[backgroundTask, none]("name", func(t *backgroundTask) string { return t.name }, nil),
	drf.NullTime[backgroundTask, none]("last_run", func(t *backgroundTask) *int64 { return t.last }, nil),
)

var databases = &drf.Choices{Name: "DatabaseEnum", Values: []string{"sqlite", "postgres"}}

// systemSerializer writes the state of the server.
var systemSerializer = drf.NewSerializer("BelfrySystem",
	drf.Text[system, none]("version", func(*system) string { return buildVersion() }, nil),
	drf.Text[system, none]("api_version", func(*system) string { return compatible }, nil),
	drf.Time[system, none]("started", func(s *system) int64 { return s.started }, nil),
	drf.Int[system, none]("uptime", func(s *system) int64 { return s.uptime }, nil, drf.Help("In seconds.")),
	drf.Choice[system, none]("database", databases, func(s *system) string { return s.database }, nil),
	drf.Int[system, none]("database_size", func(s *system) int64 { return s.size }, nil, drf.Help("In bytes.")),
	drf.Int[system, none]("events", func(s *system) int64 { return s.events }, nil),
	drf.NullTime[system, none]("oldest_event", func(s *system) *int64 { return s.oldest }, nil),
	drf.Int[system, none]("waiting_writes", func(s *system) int64 { return s.waiting }, nil),
	drf.Int[system, none]("pending_deliveries", func(s *system) int64 { return s.pending }, nil, drf.Help("Those that are being sent, too.")),
	drf.Int[system, none]("dead_deliveries", func(s *system) int64 { return s.dead }, nil),
	drf.Int[system, none]("streams", func(s *system) int64 { return s.streams }, nil, drf.Help("Who listens to what changes.")),
	drf.NestedList[system, none]("tasks", systemTaskSerializer, func(s *system) []backgroundTask { return s.tasks }),
)

// system answers how the server is.
func (s *server) system(w http.ResponseWriter, r *http.Request) error {
	state := system{
		started: s.started.UnixMicro(), uptime: int64(time.Since(s.started).Seconds()), database: databases.Values[0],
		waiting: int64(s.db.Waiting()), streams: int64(s.hub.Len()),
	}
	if s.db.Postgres() {
		state.database = databases.Values[1]
	}
	if err := s.db.Read(r.Context(), state.read); err != nil {
		return err
	}
	return systemSerializer.Write(w, r, http.StatusOK, &state)
}

// read reads what the database knows.
func (s *system) read(tx *sqldb.Tx) (err error) {
	if s.size, err = tx.Size(); err != nil {
		return fmt.Errorf("read the size of the database: %w", err)
	}
	if s.events, err = countEvents(tx, actionSet{all: true}); err != nil {
		return err
	}
	if s.oldest, err = oneTime(tx, "SELECT created FROM event ORDER BY created, pk LIMIT 1"); err != nil {
		return fmt.Errorf("look for the oldest event: %w", err)
	}
	if s.pending, s.dead, err = delivery.Depths(tx); err != nil {
		return err
	}
	last, err := oneTime(tx, "SELECT wall FROM sweep WHERE id = 1")
	if err != nil {
		return fmt.Errorf("read when retention last ran: %w", err)
	}
	s.tasks = []backgroundTask{{name: "retention", last: last}}
	return nil
}

// oneTime is the time that a query answers; nil where it answers none.
func oneTime(tx *sqldb.Tx, query string) (*int64, error) {
	var at int64
	err := tx.Row(query, nil, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &at, err
}
