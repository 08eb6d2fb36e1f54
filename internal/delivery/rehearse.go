package delivery

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// Rehearsal is the event of a transport's test, prepared outside of a write. No rule runs for it.
type Rehearsal struct {
	Event script.Event
	// Write writes the event, and what a local transport puts into the inbox.
	Write func(tx *sqldb.Tx, severity string, inbox []Inbox) error
}

// TestResultSerializer writes what a receiver said of a test.
var TestResultSerializer = drf.NewSerializer("NotificationTransportTest",
	drf.Strings[testResult, nothing]("messages", nil, func(t *testResult) []string { return t.messages }, nil),
)

// testResult is how a test went: what the receiver said, or why it did not work.
type testResult struct {
	messages []string
	failed   string // "" for a success
}

const testSeverity = "notice"

// TestTransport answers POST /events/transports/{uuid}/test/: it sends a test to the caller, once and at once, by the code
// that sends deliveries. The test has an event and stands in the log, whatever comes of it.
func (a *API) TestTransport(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	var t Transport
	var s *Snapshot
	var user *script.User
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		if t, err = getTransport(tx, visible(true), pk, ""); err != nil {
			return err
		}
		if s, err = Load(tx); err != nil {
			return err
		}
		user, err = identity.ScriptUser(tx, identity.CallerOf(r.Context()).User.PK)
		return err
	})
	switch {
	case err != nil:
		return err
	case user == nil:
		return drf.Invalid("", "A test is sent to the one who asks for it: use the token of a user.")
	}
	// What was sent stands in the log, also when nobody waits for the answer any more.
	result, err := a.rehearse(context.WithoutCancel(r.Context()), r, s, &t, *user)
	if err != nil {
		return err
	}
	if result.failed != "" {
		return drf.Invalid("", result.failed)
	}
	return TestResultSerializer.Write(w, r, http.StatusOK, &result)
}

// rehearse sends a test and writes it down.
func (a *API) rehearse(ctx context.Context, r *http.Request, s *Snapshot, t *Transport, user script.User) (testResult, error) {
	opt := &a.Worker.opt
	rehearsal := a.Rehearse(r, "Test Notification from transport "+t.Name)
	rendered, err := s.Render(ctx, opt.Runner, Occasion{Event: rehearsal.Event, Severity: testSeverity,
		Transports: []string{t.PK}, Recipients: []script.User{user}}, opt.Render)
	if errors.Is(err, script.ErrBusy) {
		return testResult{failed: sentence(err.Error())}, nil
	}
	if err != nil {
		return testResult{}, err
	}
	write := []func(*sqldb.Tx) error{func(tx *sqldb.Tx) error { return rehearsal.Write(tx, testSeverity, rendered.Inbox) }}
	for i := range rendered.Failures {
		write = append(write, opt.MappingFailed(&rendered.Failures[i]))
	}
	event := func(tx *sqldb.Tx) error {
		for _, one := range write {
			if err := one(tx); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rendered.Deliveries) == 0 {
		return inboxResult(rendered.Failures), a.DB.Write(ctx, event)
	}
	sent, attempt, err := a.Worker.SendTest(ctx, rendered.Deliveries[0], event)
	return sentResult(&sent, &attempt), err
}

// inboxResult is what a local transport answers: nothing, or why its mapping failed.
func inboxResult(failures []Failure) testResult {
	if len(failures) > 0 {
		return testResult{failed: sentence(failures[0].Error())}
	}
	return testResult{messages: []string{}}
}

// sentResult is the status and the words of the receiver, nothing where a mail server took the mail, or why it failed.
func sentResult(d *Delivery, a *Attempt) testResult {
	switch {
	case d.State == StateDelivered && d.Mode == ModeEmail:
		return testResult{messages: []string{}}
	case d.State == StateDelivered:
		return testResult{messages: []string{strconv.FormatInt(a.Status, 10), a.Answer}}
	case a.Status == 0:
		return testResult{failed: sentence(d.Reason)}
	}
	status := "Receiver answered " + strconv.FormatInt(a.Status, 10)
	if said := strings.Join(strings.Fields(a.Answer), " "); said != "" {
		return testResult{failed: status + ": " + said}
	}
	return testResult{failed: status + "."}
}
