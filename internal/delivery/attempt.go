package delivery

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// attempt is one try to send a claimed delivery, and what became of it.
type attempt struct {
	worker    *Worker
	snapshot  *Snapshot
	transport Transport
	delivery  Delivery
	lease     string
	started   time.Time
	once      bool // there is no other attempt

	// What became of it. A settlement without an attempt leaves things as they were.
	settlement
	end     int64 // by the worker's clock
	timeout bool
	// gone is why the transport is to be disabled; hard is a failure that will not heal by itself, which people are told of.
	gone, hard string
	follow     []func(tx *sqldb.Tx) error // what else is written with the settlement
	tell       func(tx *sqldb.Tx) error   // the notice
}

// counts reports whether the transport's breaker learns of it: not of tests, nor of what was never sent.
func (a *attempt) counts() bool { return a.attempt != nil && a.delivery.RulePK != nil }

// errMoved says that the lease was lost before anything was sent.
var errMoved = errors.New("the delivery was cancelled or is somebody else's")

// cancelled says that a delivery cannot be sent at all any more.
type cancelled string

func (c cancelled) Error() string { return string(c) }

// unready says that the database, or the runner of expressions, did not give what an attempt needs.
type unready struct{ cause error }

func (u unready) Error() string { return u.cause.Error() }

// unreadyIf makes that of an error of the runner which is not the expression's own.
func unreadyIf(err error) error {
	if errors.Is(err, script.ErrBusy) {
		return unready{err}
	}
	return err
}

// run makes the attempt and works out what follows. It takes at most attemptTime.
func (a *attempt) run(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	begin := time.Now()
	answer, err := a.try(limited)
	a.end = a.worker.clock.now()
	if moot, ok := errors.AsType[cancelled](err); ok {
		a.settlement = settlement{state: StateCancelled, reason: string(moot)} // no attempt was made
		return
	}
	if postponed, ok := errors.AsType[unready](err); ok && ctx.Err() == nil && !a.once {
		a.worker.opt.Log.Error("a delivery could not be attempted and waits a little", "delivery", a.delivery.PK, "error", postponed.cause)
		a.settlement = settlement{state: StatePending, reason: a.delivery.Reason, due: a.end + waits[0].Microseconds()}
		return
	}
	if errors.Is(err, errMoved) || err != nil && ctx.Err() != nil {
		a.settlement = settlement{state: StatePending, reason: a.delivery.Reason, due: *a.delivery.Due}
		return
	}
	a.attempt = &Attempt{
		DeliveryPK: a.delivery.PK, Number: a.delivery.Attempts + 1, Started: a.started.UnixMicro(), Duration: time.Since(begin).Microseconds(),
		Status: int64(answer.Status), Answer: clean(string(answer.Body)), Headers: shownHeaders(answer.Sent),
	}
	if err == nil && answer.Status/100 != 2 && a.delivery.Mode != ModeEmail {
		err = statusError(answer.Status)
	}
	a.judge(err, answer.RetryAfter)
}

// try sends, and keeps a panic to itself: it is a failure of this attempt.
func (a *attempt) try(ctx context.Context) (answer outbound.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.worker.opt.Log.Error("panic in a delivery", "delivery", a.delivery.PK, "panic", p, "stack", string(debug.Stack()))
			err = errors.New("an error inside Belfry, which has logged more")
		}
	}()
	return a.send(ctx)
}

// statusError is an answer that is no success.
type statusError int

func (e statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", int(e), http.StatusText(int(e))))
}

// passing are the statuses of 4xx that say: later.
var passing = []statusError{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}

// judge decides what becomes of the delivery.
func (a *attempt) judge(err error, retryAfter time.Duration) {
	if err == nil {
		a.state = StateDelivered
		return
	}
	a.timeout = outbound.IsTimeout(err)
	a.reason = clean(err.Error())
	a.attempt.Error = a.reason
	step := a.delivery.Step + 1
	pause, again := wait(step, retryAfter)
	switch {
	case a.once:
		a.state = StateDead
	case !again:
		a.state, a.reason = StateDead, fmt.Sprintf("given up after %d attempts: %s", step, a.reason)
	default:
		a.state, a.due = StatePending, a.end+pause.Microseconds()
	}
	a.news(err)
}

// news prepares what people are told.
func (a *attempt) news(err error) {
	if failure, ok := errors.AsType[*Failure](err); ok {
		a.follow = append(a.follow, a.worker.opt.MappingFailed(failure))
	}
	if a.delivery.RulePK == nil {
		return // who tests is told at once
	}
	if status, ok := errors.AsType[statusError](err); ok && status == http.StatusGone {
		a.gone = "The receiver answered 410 Gone."
		a.tell = a.worker.opt.Notice(fmt.Sprintf("The transport %q was disabled, because its receiver answered 410 Gone. "+
			"What it has not delivered waits until it is enabled again.", a.transport.Name))
		return
	}
	if a.state == StateDead || isHard(err) {
		a.hard = a.reason
		a.tell = a.worker.opt.Notice(fmt.Sprintf("Deliveries by the transport %q fail: %s", a.transport.Name, a.reason))
	}
}

// isHard reports whether a failure is one that waiting does not mend: an address that is not allowed, a
// certificate, a refusal.
func isHard(err error) bool {
	status, answered := errors.AsType[statusError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	return errors.Is(err, outbound.ErrRefused) || certificate || errors.Is(err, outbound.ErrPermanent) ||
		answered && status/100 == 4 && !slices.Contains(passing, status)
}

// settle writes what became of the attempt, and what follows from that.
func (a *attempt) settle(tx *sqldb.Tx) error {
	counted, err := settle(tx, &a.delivery, a.lease, &a.settlement)
	if err != nil || !counted {
		return err
	}
	tx.OnCommit(func() { a.worker.opt.Changed(a.delivery.PK) })
	for _, write := range a.follow {
		if err := write(tx); err != nil {
			return err
		}
	}
	tell := false
	switch {
	case a.gone != "":
		if tell, err = disable(tx, a.transport.PK, a.transport.WebhookURL, a.gone); err == nil && tell {
			err = identity.BumpGeneration(tx)
		}
	case a.hard != "":
		tell, err = noteFailure(tx, a.transport.PK)
	case a.state == StateDelivered:
		err = noteSuccess(tx, a.transport.PK)
	}
	if err != nil || !tell {
		return err
	}
	return a.tell(tx)
}

// send sends the delivery by its transport, as that is now.
func (a *attempt) send(ctx context.Context) (outbound.Answer, error) {
	d := &a.delivery
	if mail := d.Mode == ModeEmail; a.transport.Mode == ModeLocal || mail != (a.transport.Mode == ModeEmail) {
		return outbound.Answer{}, cancelled("the transport is now of another mode")
	}
	in, err := a.input(ctx)
	if err != nil {
		return outbound.Answer{}, err
	}
	if d.Body == "" {
		if err := a.renderAnew(ctx, in); err != nil {
			return outbound.Answer{}, err
		}
	}
	if d.Mode == ModeEmail {
		return outbound.Answer{}, a.mail(ctx, in.User)
	}
	return a.post(ctx, in)
}

// input reads what expressions and addresses need. Most webhooks need nothing.
func (a *attempt) input(ctx context.Context) (in script.Input, err error) {
	d := &a.delivery
	if d.Mode != ModeEmail && d.Body != "" && a.transport.HeadersMapping == nil {
		return in, nil
	}
	var event *script.Event
	var user *script.User
	err = a.worker.opt.DB.Read(ctx, func(tx *sqldb.Tx) (err error) {
		if event, err = a.worker.opt.Event(tx, d.EventPK); err == nil {
			user, err = identity.ScriptUser(tx, d.UserPK)
		}
		return err
	})
	switch {
	case err != nil:
		return in, unready{err}
	case user == nil:
		return in, cancelled("the recipient was deleted")
	}
	return inputOf(event, d.Severity, d.Summary, user), nil
}

// renderAnew makes the body that an earlier failure left out, with today's mapping, and keeps it before it is sent.
func (a *attempt) renderAnew(ctx context.Context, in script.Input) error {
	opt := &a.worker.opt
	body, err := a.snapshot.body(ctx, opt.Runner, &a.transport, a.delivery.Mode, opt.Render.Version, in)
	if err != nil {
		return unreadyIf(err)
	}
	held := false
	err = opt.DB.Write(ctx, func(tx *sqldb.Tx) (err error) {
		held, err = storeBody(tx, a.delivery.PK, a.lease, body)
		return err
	})
	switch {
	case err != nil:
		return unready{err}
	case !held:
		return errMoved
	}
	a.delivery.Body = body
	return nil
}

// mail hands an e-mail to the server.
func (a *attempt) mail(ctx context.Context, user *script.User) error {
	opt := &a.worker.opt
	switch {
	case opt.Mailer == nil:
		return cancelled(noMailServer)
	case user.Email == "":
		return cancelled(noAddress)
	}
	var parts mailParts
	if err := json.Unmarshal([]byte(a.delivery.Body), &parts); err != nil {
		return fmt.Errorf("read the parts of an e-mail: %w", err)
	}
	to := outbound.Person{Username: user.Username, Name: user.Name, Email: user.Email}
	if err := opt.Mailer.Send(ctx, a.delivery.PK, to, outbound.Mail(parts)); err != nil {
		return err
	}
	a.follow = append(a.follow, opt.MailSent(user.Email, outbound.Mail(parts)))
	return nil
}

// post sends a webhook, with the address, the secrets and the extra headers that the transport has now.
func (a *attempt) post(ctx context.Context, in script.Input) (outbound.Answer, error) {
	opt := &a.worker.opt
	extra, err := a.headers(ctx, in)
	if err != nil {
		return outbound.Answer{}, err
	}
	var secrets []string
	for _, secret := range []string{a.transport.Secret, a.transport.PreviousSecret} {
		if secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return opt.Client.Post(ctx, outbound.Request{
		URL: a.transport.WebhookURL, ID: a.delivery.PK, Body: []byte(a.delivery.Body), ContentType: "application/json",
		Header: extra, Secrets: secrets, Time: opt.Clock(),
	})
}

// headers runs the headers mapping.
func (a *attempt) headers(ctx context.Context, in script.Input) (http.Header, error) {
	result, err := a.snapshot.run(ctx, a.worker.opt.Runner, &a.transport, a.transport.HeadersMapping, in)
	if err != nil || result == nil {
		return nil, unreadyIf(err)
	}
	header, err := headersOf(result.JSON)
	if err != nil {
		m := a.snapshot.mapping(a.transport.HeadersMapping)
		return nil, &Failure{TransportPK: a.transport.PK, TransportName: a.transport.Name, MappingPK: m.PK, MappingName: m.Name,
			Expression: m.Expression, Message: err.Error()}
	}
	return header, nil
}

// headersOf reads what a headers mapping returned: an object of texts, numbers and truth values, or null for none.
func headersOf(result []byte) (http.Header, error) {
	var values map[string]json.RawMessage
	if json.Unmarshal(result, &values) != nil {
		return nil, errors.New("the headers must be a dictionary")
	}
	header := http.Header{}
	for name, value := range values {
		if len(header.Values(name)) > 0 {
			return nil, fmt.Errorf("the header %s is there twice: capitals make no difference", http.CanonicalHeaderKey(name))
		}
		text := textOf(value)
		switch value[0] {
		case '{', '[':
			return nil, fmt.Errorf("the header %q must be text", name)
		case 'n': // null: no such header
		case '"':
			header.Set(name, *text)
		default:
			header.Set(name, string(value))
		}
	}
	return header, nil
}

// standardHeaders are those whose values are the same for everybody, or known to who may read the log.
var standardHeaders = []string{"Content-Length", "Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp"}

// shownHeaders is a JSON object of the headers that were sent, without values that may be secret.
func shownHeaders(sent http.Header) drf.JSON {
	shown := map[string]*string{}
	for name := range sent {
		if slices.Contains(standardHeaders, name) {
			value := sent.Get(name)
			shown[name] = &value
		} else {
			shown[name] = nil
		}
	}
	text, _ := json.Marshal(shown) // text and null have a JSON form always
	return drf.JSON(text)
}

// clean makes text of what a receiver or an error said: valid UTF-8 without NUL, which PostgreSQL does not store.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}
