package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/sqldb"
)

// The times of a stream.
const (
	heartbeat   = 20 * time.Second       // proxies close what is silent for 30 to 60 seconds
	gatherTime  = 100 * time.Millisecond // what changes within it is told at once
	listenTime  = 10 * time.Second       // what a client gets to take one message in
	fullPause   = 10 * time.Second       // after which a client comes again that found no room
	reasonEnded = live.Reason("ended")   // the caller may listen no more
)

// The kinds of hints.
const (
	kindEvent        = "event"
	kindNotification = "notification"
	kindDelivery     = "delivery"
	kindSession      = "session"
	kindToken        = "token"
	kindMapping      = "mapping"
)

// kindOfModel are the kinds of what the trail is about.
var kindOfModel = map[string]string{
	"event": kindEvent, "user": "user", "group": "group", "token": kindToken, "authenticatedsession": kindSession,
	"notificationrule": "rule", "notificationtransport": "transport", "notificationwebhookmapping": kindMapping,
	"delivery": kindDelivery, "eventmatcherpolicy": "policy", "expressionpolicy": "policy", "policybinding": "binding",
}

// eventHints are what a written event changes: the log and, of the trail, the object that it is about.
func eventHints(e *Event, c *columns) []live.Hint {
	hints := []live.Hint{{Kind: kindEvent, ID: e.PK}}
	if e.Origin == OriginTrail && c.modelName != nil && c.modelPK != nil {
		if kind, ok := kindOfModel[*c.modelName]; ok {
			hints = append(hints, live.Hint{Kind: kind, ID: dashed(*c.modelPK)})
		}
	}
	return hints
}

// outcomeHints are what the outcome of an event changes: inboxes and the log of deliveries.
func outcomeHints(o *outcome) []live.Hint {
	var hints []live.Hint
	for _, n := range o.notifications {
		hints = append(hints, live.Hint{Kind: kindNotification, ID: n.PK, Owner: n.UserPK})
	}
	for _, d := range o.deliveries {
		hints = append(hints, live.Hint{Kind: kindDelivery, ID: d.PK})
	}
	return hints
}

// dashed is a key as the API writes it, of one as the trail does.
func dashed(pk string) string {
	if len(pk) != 32 {
		return pk
	}
	return strings.Join([]string{pk[:8], pk[8:12], pk[12:16], pk[16:20], pk[20:]}, "-")
}

// publish tells the readers in this process. What changes who may do what makes all of them look up, so that their
// rights are looked at again.
func (s *server) publish(hints ...live.Hint) {
	s.hub.Publish(hints...)
	for _, h := range hints {
		switch h.Kind {
		case "user", "group", kindToken, kindSession:
			s.hub.Wake()
			return
		}
	}
}

// noteInbox tells the owner of a notification, once the write is through, that it has changed; "" for many of them.
func (s *server) noteInbox(tx *sqldb.Tx, user int64, pk string) {
	tx.OnCommit(func() { s.publish(live.Hint{Kind: kindNotification, ID: pk, Owner: user}) })
}

// The audiences differ in what they may look at. Of inboxes all are told their own, and nobody another's.
var (
	seesAll  = live.NewAudience(func(kind string) bool { return kind != kindNotification })
	seesMost = live.NewAudience(func(kind string) bool {
		return kind != kindNotification && kind != kindMapping && kind != kindToken && kind != kindSession
	})
	seesNothing = live.NewAudience(func(string) bool { return false })
)

// audienceOf are those who may see what a caller may.
func audienceOf(c identity.Caller) *live.Audience {
	switch {
	case strict.allows(c, http.MethodGet):
		return seesAll
	case admin.allows(c, http.MethodGet):
		return seesMost
	}
	return seesNothing
}

// followMedia is what a stream is, to who asks for something.
var followMedia = []drf.Media{{Type: "text/event-stream", Format: "event-stream"}}

// follow answers a stream of hints for as long as the client listens and may. There are many of these, and each keeps
// the stack that it has grown: so what is needed to begin one is over when it runs.
func (s *server) follow(w http.ResponseWriter, r *http.Request) error {
	f, err := s.newFollower(w, r)
	if err != nil {
		return err
	}
	defer f.reader.Close()
	if r.Method != http.MethodHead {
		f.run()
	}
	return nil
}

// follower is one client that listens.
type follower struct {
	server  *server
	request *http.Request
	caller  identity.Caller
	reader  *live.Reader
	out     *eventStream
}

// newFollower lets a client in and begins the answer.
func (s *server) newFollower(w http.ResponseWriter, r *http.Request) (*follower, error) {
	caller := identity.CallerOf(r.Context())
	reader, err := s.hub.Subscribe(caller.User.PK, audienceOf(caller))
	switch {
	case errors.Is(err, live.ErrFull):
		return nil, drf.Unavailable("Too many listen already. Try again.", fullPause, nil)
	case err != nil:
		return nil, drf.Unavailable("Belfry is shutting down.", time.Second, nil)
	}
	return &follower{server: s, request: r, caller: caller, reader: reader, out: beginStream(w)}, nil
}

// run sends what changes, and something every heartbeat, until the client has gone or may listen no more.
func (f *follower) run() {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for text := helloMessage; text == "" || f.out.send(text) == nil; { // else the client has gone, which is its own affair
		select {
		case <-f.request.Context().Done():
			return
		case <-beat.C:
			text = beatMessage
		case <-f.reader.Changed():
			var reason live.Reason
			if text, reason = f.reader.Take(); reason != "" {
				f.out.bye(reason)
				return
			}
		}
		// It may have been woken to look at its rights and no more.
		if reason := f.mayNot(); reason != "" {
			f.out.bye(reason)
			return
		}
	}
}

// mayNot looks at the caller's rights anew, and answers why the stream ends; "" where it goes on. Who has become
// somebody else, or somebody with other rights, comes again as that.
func (f *follower) mayNot() live.Reason {
	caller, ok, err := f.server.identity.Again(f.request.Context(), f.caller)
	switch {
	case err != nil && f.request.Context().Err() == nil:
		f.server.log.Warn("a stream was ended, because the rights of who listens could not be looked at", "error", err)
		return live.Stopping
	case err != nil || !ok || !inbox.allows(caller, http.MethodGet):
		return reasonEnded
	case caller.User.PK != f.caller.User.PK, caller.Superuser != f.caller.Superuser, caller.Scopes != f.caller.Scopes:
		return live.Stopping
	}
	return ""
}

// reconnect is how many milliseconds a browser waits before it comes again.
const reconnect = "retry: 2000\n"

// message is one message of a stream.
func message(event, data string) string {
	return reconnect + "event: " + event + "\ndata: " + data + "\n\n"
}

// The messages that are always the same. The first says how often something comes.
var (
	helloMessage = message("hello", marshal(map[string]int{"heartbeat": int(heartbeat.Seconds())}))
	beatMessage  = message("beat", "{}")
)

// changeMessage tells of hints; it is made once for all who are told the same.
func changeMessage(hints []live.Hint) string { return message("change", marshal(hints)) }

// eventStream writes messages, one at a time. Whoever does not take one in time is gone.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	patient time.Time // until when a message may be begun with the deadline that is set
}

// beginStream begins an answer that nobody on the way keeps back. The time to write an answer does not bound it: each
// message has its own.
func beginStream(w http.ResponseWriter) *eventStream {
	s := &eventStream{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return s
}

// send writes one message, and answers an error where the client does not take it.
func (s *eventStream) send(message string) error {
	if now := time.Now(); now.After(s.patient) { // not for each of many a second
		_ = s.control.SetWriteDeadline(now.Add(listenTime)) // what has no deadlines, as a recorder in a test, needs none
		s.patient = now.Add(listenTime / 10)
	}
	if _, err := io.WriteString(s.w, message); err != nil {
		return err
	}
	return s.control.Flush()
}

// bye says why there will be no more.
func (s *eventStream) bye(reason live.Reason) {
	_ = s.send(message("bye", `{"reason":"`+string(reason)+`"}`)) // a client that has gone knows
}
