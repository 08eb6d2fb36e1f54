package delivery

import (
	"net/http"
	"slices"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// ListDeliveries answers GET /api/belfry/deliveries/ with a page of the log.
func (a *API) ListDeliveries(w http.ResponseWriter, r *http.Request) error {
	q, err := LoggedList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Logged]
	err = a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		page, err = listLogged(tx, q)
		return err
	})
	if err != nil {
		return err
	}
	if !maySeeURLs(r) { // a reason may repeat what a mapping or a receiver said
		for i := range page.Rows {
			page.Rows[i].Reason = ""
		}
	}
	return LoggedSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

// GetDelivery answers GET /api/belfry/deliveries/{uuid}/ with one delivery and its attempts.
func (a *API) GetDelivery(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	return a.answerDelivery(w, r, pk)
}

func (a *API) answerDelivery(w http.ResponseWriter, r *http.Request, pk string) error {
	var l Logged
	err := a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		l, err = getLogged(tx, pk)
		return err
	})
	if err != nil {
		return err
	}
	return LoggedDetailSerializer.Write(w, r, http.StatusOK, &l)
}

// CancelDelivery answers POST /api/belfry/deliveries/{uuid}/cancel/ with the delivery, which is not sent any more.
func (a *API) CancelDelivery(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	reason := "Cancelled by " + caller(r) + "."
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		found, _, err := lockLogged(tx, []string{pk})
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return drf.NotFound()
		case found[0].State == StateSending:
			return drf.Invalid("", errSending)
		case found[0].State != StatePending:
			return drf.Invalid("", "Only what waits can be cancelled: this delivery is "+found[0].State+".")
		}
		if err := cancelDelivery(tx, pk, reason); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, found[0].changed(StateCancelled))
	})
	if err != nil {
		return err
	}
	return a.answerDelivery(w, r, pk)
}

const errSending = "An attempt is under way. Try again in a few seconds."

// caller names who makes a request.
func caller(r *http.Request) string {
	if c := identity.CallerOf(r.Context()); !c.Host {
		return c.User.Username
	}
	return "the command line"
}

// RetryDelivery answers POST /api/belfry/deliveries/{uuid}/retry/ with the delivery, which is due at once. One without a
// body, because its mapping failed, is rendered by what the mapping is then.
func (a *API) RetryDelivery(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		found, needs, err := lockLogged(tx, []string{pk})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return drf.NotFound()
		}
		if why := found[0].obstacle(needs); why != "" {
			return drf.Invalid("", why)
		}
		if err := startAgain(tx, []string{pk}); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, found[0].changed(StatePending))
	})
	if err != nil {
		return err
	}
	a.Worker.Wake()
	return a.answerDelivery(w, r, pk)
}

// retryBatch is how many deliveries one write starts again.
const retryBatch = 1000

// RetryDeliveries answers POST /api/belfry/deliveries/retry/ with how many of the deliveries that match the query are due
// at once: of the dead ones, unless the query names states. Every batch is a write of its own, with its own trail.
func (a *API) RetryDeliveries(w http.ResponseWriter, r *http.Request) error {
	q, err := RetryList.Parse(r)
	if err != nil {
		return err
	}
	states := q.Texts("state")
	if len(states) == 0 {
		states = []string{StateDead}
	}
	chosen := chosen{query: q, states: states}
	var sum retried
	for more := true; more; {
		var pks []string
		err := a.DB.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
			pks, err = chosen.next(tx, retryBatch)
			return err
		})
		if err != nil {
			return err
		}
		started, err := a.startMany(r, pks, states)
		if err != nil {
			return err
		}
		sum.retried += started
		sum.skipped += int64(len(pks)) - started
		more = len(pks) == retryBatch
	}
	return RetriedSerializer.Write(w, r, http.StatusOK, &sum)
}

// startMany starts those of the deliveries again that are still in one of the states and can be sent, and answers how many that are.
func (a *API) startMany(r *http.Request, pks, states []string) (started int64, err error) {
	if len(pks) == 0 {
		return 0, nil
	}
	err = a.DB.Write(r.Context(), func(tx *sqldb.Tx) error {
		found, needs, err := lockLogged(tx, pks)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(l Logged) bool {
			return !slices.Contains(states, l.State) || l.obstacle(needs) != ""
		})
		started = int64(len(found))
		if started == 0 {
			return nil
		}
		if err := startAgain(tx, keysOf(found)); err != nil {
			return err
		}
		return a.Trail.Record(tx, r, startedMany(started, states))
	})
	if err == nil {
		a.Worker.Wake()
	}
	return started, err
}

func keysOf(found []Logged) []string {
	pks := make([]string, len(found))
	for i, l := range found {
		pks[i] = l.PK
	}
	return pks
}

// obstacle says why a delivery cannot be sent again; "" when it can.
func (l *Logged) obstacle(n needs) string {
	switch {
	case l.State == StateSending:
		return errSending
	case !slices.Contains(n.transports, l.TransportPK):
		return "Its transport is gone."
	case !slices.Contains(n.users, l.UserPK):
		return "Its recipient is gone."
	}
	return ""
}
