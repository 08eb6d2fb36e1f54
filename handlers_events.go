package main

import (
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/outbound"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

// eventList is what the list of events takes, and volume with it.
var eventList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "action", Kind: drf.FilterText},
		{Name: "actions", Kind: drf.FilterChoices, Choices: rules.EventActions},
		{Name: "app", Kind: drf.FilterText},
		{Name: "brand_name", Kind: drf.FilterText},
		{Name: "client_ip", Kind: drf.FilterText},
		{Name: "context_authorized_app", Kind: drf.FilterText},
		{Name: "context_model_app", Kind: drf.FilterText},
		{Name: "context_model_name", Kind: drf.FilterText},
		{Name: "context_model_pk", Kind: drf.FilterText},
		{Name: "created__gte", Kind: drf.FilterTime},
		{Name: "created__lt", Kind: drf.FilterTime},
		{Name: "username", Kind: drf.FilterText},
	},
	Search:    true,
	Orderings: []string{"pk", "action", "app", "client_ip", "created", "expires"},
	Default:   []string{"-created"},
}

func (s *server) listEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := eventList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Event]
	err = s.readSearch(r.Context(), func(tx *sqldb.Tx) (err error) {
		page, err = listEvents(tx, q)
		return err
	})
	if err != nil {
		return err
	}
	return EventSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

func (s *server) createEvent(w http.ResponseWriter, r *http.Request) error {
	in := EventSerializer.Read(w, r, drf.Create)
	if err := in.Err(); err != nil {
		return err
	}
	e, err := s.recorder.record(r.Context(), newEvent(in.Patch, s.originOf(r)))
	if err != nil {
		return err
	}
	return EventSerializer.Write(w, r, http.StatusCreated, &e)
}

// originOf recognises what Belfry itself has sent: a webhook that leads back here must not run the rules that sent it.
func (s *server) originOf(r *http.Request) Origin {
	if s.origin != "" && r.Header.Get(outbound.HeaderOrigin) == s.origin {
		return OriginDelivery
	}
	return OriginAPI
}

func (s *server) getEvent(w http.ResponseWriter, r *http.Request) error {
	e, err := s.readEvent(r)
	if err != nil {
		return err
	}
	return EventSerializer.Write(w, r, http.StatusOK, &e)
}

// readEvent reads the event that the path names.
func (s *server) readEvent(r *http.Request) (e Event, err error) {
	pk, err := drf.PathUUID(r, "event_uuid")
	if err != nil {
		return e, err
	}
	err = s.db.Read(r.Context(), func(tx *sqldb.Tx) error {
		e, err = getEvent(tx, pk)
		return err
	})
	return e, orNotFound(err)
}

// updateEvent is PUT and PATCH: the event is changed in place and leaves a trail.
func (s *server) updateEvent(w http.ResponseWriter, r *http.Request) error {
	in := EventSerializer.Read(w, r, drf.ModeOf(r))
	var e Event
	err := retry(r.Context(), func() error {
		before, err := s.readEvent(r)
		if err != nil {
			return err
		}
		if err := in.Err(); err != nil {
			return err
		}
		c, err := s.recorder.prepareChange(r.Context(), r, before, in.Patch)
		if err != nil {
			return err
		}
		return s.db.Write(r.Context(), func(tx *sqldb.Tx) error {
			now, err := lockEvent(tx, before.PK)
			if err != nil {
				return err
			}
			after, err := s.recorder.commitChange(r.Context(), tx, &now, c)
			if err == nil {
				e = *after
			}
			return err
		})
	})
	if err != nil {
		return orNotFound(err)
	}
	return EventSerializer.Write(w, r, http.StatusOK, &e)
}

func (s *server) deleteEvent(w http.ResponseWriter, r *http.Request) error {
	before, err := s.readEvent(r)
	if err != nil {
		return err
	}
	c, err := s.recorder.prepareDeletion(r.Context(), r, before)
	if err != nil {
		return err
	}
	err = s.db.Write(r.Context(), func(tx *sqldb.Tx) error { return s.recorder.commitDeletion(r.Context(), tx, c) })
	if err != nil {
		return orNotFound(err)
	}
	return drf.NoContent(w)
}

// listActions answers the actions that an event may have, with authentik's labels.
func (s *server) listActions(w http.ResponseWriter, r *http.Request) error {
	actions := make([]drf.Kind, len(rules.EventActions.Values))
	for i, action := range rules.EventActions.Values {
		actions[i] = drf.Kind{Name: rules.ActionLabel(action), Component: action}
	}
	return drf.KindSerializer.WriteAll(w, r, actions)
}
