package main

import (
	"net/http"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/sqldb"
)

// testApp is the app that authentik names in the event of a transport's test.
const testApp = "authentik.events.api.notification_transports"

// rehearse prepares the event of a transport's test, which has the message beside what authentik writes: without it a
// mapping that asks for one could not be tested. No rule runs for it.
func (r *recorder) rehearse(req *http.Request, message string) delivery.Rehearsal {
	message = clean(message)
	p := newPlan(Event{User: "{}", Action: "custom_", App: testApp, Brand: fallbackBrand, Origin: OriginDelivery,
		Context: objectJSON(member{"message", drf.JSON(quote(message))}, member{"user", actor(identity.CallerOf(req.Context()))},
			member{"context", `{"foo":"bar"}`})})
	return delivery.Rehearsal{Event: *scriptEvent(&p.event), Write: func(tx *sqldb.Tx, severity string, inbox []delivery.Inbox) error {
		counts := tally{}
		e, err := r.commit(req.Context(), tx, p, counts)
		if err != nil {
			return err
		}
		for _, in := range inbox {
			body := shorten(clean(in.Body), longestBody)
			n := Notification{PK: sqldb.NewID(), Event: &e, UserPK: in.UserPK, TransportPK: in.TransportPK,
				Severity: severity, Body: body, folded: drf.Fold(body)}
			if err := insertNotification(tx, &n); err != nil {
				return err
			}
			tx.OnCommit(func() { r.publish(live.Hint{Kind: kindNotification, ID: n.PK, Owner: n.UserPK}) })
		}
		tx.AtEnd(counts)
		return nil
	}}
}
