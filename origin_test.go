package main

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"belfry/internal/outbound"
	"belfry/internal/sqldb"
)

func TestOwnWebhookThatComesBackRunsNoRules(t *testing.T) {
	const ours = "01900000-0000-7000-8000-00000000000a"
	cases := []struct {
		name         string
		server, sent string // whose id the server and the request have
		origin       Origin
		inbox        int // notifications of the event
	}{
		{"its own", ours, ours, OriginDelivery, 0},
		{"another Belfry's", ours, "01900000-0000-7000-8000-00000000000b", OriginAPI, 1},
		{"nobody's", ours, "", OriginAPI, 1},
		{"a server that does not know its id", "", "", OriginAPI, 1},
	}
	each(t, func(t *testing.T, f *fixture) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				f.server.origin = c.server
				event := f.deliver(c.sent)
				var origin Origin
				err := f.db.Read(t.Context(), func(tx *sqldb.Tx) error {
					return tx.Row(`SELECT origin FROM event WHERE pk = $1`, []any{event}, &origin)
				})
				if err != nil || origin != c.origin {
					t.Errorf("want the origin %s, got %s, %v", c.origin, origin, err)
				}
				list := f.must(200, "GET", "/api/v3/events/notifications/?user=1&event="+event, "")
				if got := list.get("pagination", "count"); got != float64(c.inbox) {
					t.Errorf("want %d notifications, got %v", c.inbox, got)
				}
			})
		}
	})
}

// deliver sends an event that a rule matches to the fixture's own API, as a webhook of the Belfry with the given id
// would, and answers its key.
func (f *fixture) deliver(id string) (event string) {
	f.t.Helper()
	client := outbound.NewClient(outbound.Options{Allow: []outbound.Class{outbound.Loopback}, UserAgent: "Belfry/test", Origin: id})
	defer client.Close()
	answer, err := client.Post(f.t.Context(), outbound.Request{
		URL: f.url + "/api/v3/events/events/", ID: "1", Body: []byte(`{"action":"configuration_error","app":"loop"}`),
		ContentType: "application/json", Header: http.Header{"Authorization": {"Bearer " + adminKey}}, Time: time.Now(),
	})
	if err != nil || answer.Status != http.StatusCreated {
		f.t.Fatalf("%d %s, %v", answer.Status, answer.Body, err)
	}
	var made struct{ PK string }
	if err := json.Unmarshal(answer.Body, &made); err != nil {
		f.t.Fatal(err)
	}
	return made.PK
}
