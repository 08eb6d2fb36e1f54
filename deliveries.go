package main

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/outbound"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// outside is how deliveries leave the house. The zero value reaches nobody.
type outside struct {
	client *outbound.Client
	mailer *outbound.Mailer // nil: no mail is sent
	from   string           // the sender of mail
	origin string           // this Belfry's id, sent along with every webhook
}

// newOutside makes the clients that settings ask for.
func newOutside(ctx context.Context, db *sqldb.DB, s *settings) (out outside, err error) {
	err = db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		out.origin, err = delivery.InstanceID(tx)
		return err
	})
	if err != nil {
		return out, err
	}
	options := s.outbound
	options.Origin = out.origin
	out.client = outbound.NewClient(options)
	if s.mail != nil {
		out.from = s.mail.From
		out.mailer, err = outbound.NewMailer(*s.mail)
	}
	return out, err
}

// render says what can be sent.
func (o outside) render() delivery.RenderOptions {
	return delivery.RenderOptions{Mail: o.mailer != nil, Version: buildVersion()}
}

// sends are the options of the worker that sends what the recorder has written, and whose news the recorder writes.
func (r *recorder) sends(out outside) delivery.Options {
	if out.client == nil {
		out.client = outbound.NewClient(outbound.Options{})
	}
	return delivery.Options{
		DB: r.db, Log: r.log, Client: out.client, Mailer: out.mailer, Runner: r.runner, Render: r.render,
		Event:   scriptEventOf,
		Notice:  r.notice,
		Changed: func(pk string) { r.publish(live.Hint{Kind: kindDelivery, ID: pk}) },
		MailSent: func(to string, mail outbound.Mail) func(*sqldb.Tx) error {
			return r.aside(mailEvent(out.from, to, mail))
		},
		MappingFailed: func(f *delivery.Failure) func(*sqldb.Tx) error { return r.aside(mappingEvent(f, nil)) },
	}
}

// startWorker sends in the background until it is stopped. It claims nothing any more once ctx has ended.
func (s *server) startWorker(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { s.worker.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// aside prepares an event that no rule runs for, and answers how to write it beside something else.
func (r *recorder) aside(e Event) func(tx *sqldb.Tx) error {
	p := newPlan(e)
	return func(tx *sqldb.Tx) error {
		counts := tally{}
		if _, err := r.commit(context.Background(), tx, p, counts); err != nil {
			return err
		}
		tx.AtEnd(counts)
		return nil
	}
}

// scriptEventOf reads an event as expressions see it, nil for one that is gone.
func scriptEventOf(tx *sqldb.Tx, pk string) (*script.Event, error) {
	e, err := getEvent(tx, pk)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return scriptEvent(&e), nil
}

// notice tells every active superuser something about Belfry itself.
func (r *recorder) notice(text string) func(tx *sqldb.Tx) error {
	body := shorten(clean(text), longestBody)
	folded := drf.Fold(body)
	return func(tx *sqldb.Tx) error {
		directory, err := identity.LoadDirectory(tx)
		if err != nil {
			return err
		}
		for _, user := range directory.Superusers() {
			n := Notification{PK: sqldb.NewID(), UserPK: user, Severity: "alert", Body: body, folded: folded}
			if err := insertNotification(tx, &n); err != nil {
				return err
			}
			tx.OnCommit(func() { r.publish(live.Hint{Kind: kindNotification, ID: n.PK, Owner: user}) })
		}
		return nil
	}
}

// mailEvent is the record of an e-mail that the server took.
func mailEvent(from, to string, mail outbound.Mail) Event {
	return Event{User: "{}", Action: "email_sent", App: "authentik.stages.email.tasks", Brand: fallbackBrand, Origin: OriginDelivery,
		Context: objectJSON(member{"message", drf.JSON(quote("Email to " + to + " sent"))}, member{"subject", drf.JSON(quote(mail.Subject))},
			member{"body", drf.JSON(quote(mail.HTML))}, member{"from_email", drf.JSON(quote(from))}, member{"to_email", listJSON([]string{to})})}
}
