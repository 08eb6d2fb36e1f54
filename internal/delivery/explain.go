package delivery

import (
	"fmt"

	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// Way is how one transport of a rule tells people, without telling them.
type Way struct {
	TransportPK string // "" for the inbox of a rule without transports, as is Name
	Name, Mode  string
	Note        string // what is special about it at present; "" for nothing
	Receivers   []Receiver
}

// Receiver is somebody who is told by a way, or is not.
type Receiver struct {
	UserPK   int64
	Username string
	Why      string // why not; "" for somebody who is told
}

// Ways says who is told by which of the transports: what [Snapshot.Render] would render, as far as no expression is asked.
func (s *Snapshot) Ways(transportPKs []string, users []script.User, opt RenderOptions) []Way {
	if len(transportPKs) == 0 {
		inbox := Transport{Mode: ModeLocal}
		return []Way{inbox.way(users, opt)}
	}
	var ways []Way
	for _, pk := range transportPKs {
		if t, ok := s.transports[pk]; ok {
			ways = append(ways, t.way(users, opt))
		}
	}
	return ways
}

func (t *Transport) way(users []script.User, opt RenderOptions) Way {
	w := Way{TransportPK: t.PK, Name: t.Name, Mode: t.Mode}
	if t.SendOnce && len(users) > 1 {
		w.Note = "It sends once: to the first by their keys."
	}
	if t.DisabledAt != nil && t.Mode != ModeLocal {
		w.Note = fmt.Sprintf("It is disabled (%s): what it is to send waits until it is enabled.", t.DisabledReason)
	}
	for _, user := range t.receivers(users) {
		r := Receiver{UserPK: user.PK, Username: user.Username}
		switch {
		case t.Mode != ModeEmail:
		case !opt.Mail:
			r.Why = noMailServer
		case user.Email == "":
			r.Why = noAddress
		}
		w.Receivers = append(w.Receivers, r)
	}
	return w
}

// LoggedOf are the deliveries of an event as the log shows them, at most limit of them, and how many there are.
func LoggedOf(tx *sqldb.Tx, eventPK string, limit int) ([]Logged, int64, error) {
	var count int64
	if err := tx.Row(`SELECT COUNT(*) FROM delivery WHERE event_pk = $1`, []any{eventPK}, &count); err != nil {
		return nil, 0, fmt.Errorf("count the deliveries of an event: %w", err)
	}
	rows, err := sqldb.All(tx, scanLogged, `SELECT `+listedColumns+` FROM delivery WHERE event_pk = $1
		ORDER BY rule_name, transport_name, user_pk, pk LIMIT $2`, eventPK, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read the deliveries of an event: %w", err)
	}
	return rows, count, nil
}

// AllDisabled reports whether there are transports among these, and each of them waits to be enabled. What goes to the inbox
// never waits.
func (s *Snapshot) AllDisabled(transportPKs []string) bool {
	some := false
	for _, pk := range transportPKs {
		t, ok := s.transports[pk]
		if ok && (t.DisabledAt == nil || t.Mode == ModeLocal) {
			return false
		}
		some = some || ok
	}
	return some
}
