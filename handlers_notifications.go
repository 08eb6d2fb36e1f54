package main

import (
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/listing"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

// notificationList is what the list of notifications takes.
var notificationList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "severity", Kind: drf.FilterChoice, Choices: rules.Severities},
		{Name: "body", Kind: drf.FilterText},
		{Name: "created", Kind: drf.FilterTime},
		{Name: "created__gte", Kind: drf.FilterTime},
		{Name: "created__lt", Kind: drf.FilterTime},
		{Name: "event", Kind: drf.FilterUUID},
		{Name: "seen", Kind: drf.FilterBool},
		{Name: "user", Kind: drf.FilterIntRef},
	},
	Search:    true,
	Orderings: []string{"pk", "severity", "body", "hyperlink", "hyperlink_label", "created", "event", "seen"},
	Default:   []string{"-created"},
}

// ownerOf says whose notifications a request is about: superusers see and change everybody's, but a
// token's scope narrows that. The scope inbox is always about one's own.
func ownerOf(r *http.Request) owner {
	caller := identity.CallerOf(r.Context())
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	all := caller.Superuser && (caller.Scopes.Has(identity.ScopeAdmin) || reads && caller.Scopes.Has(identity.ScopeRead))
	return owner{userPK: caller.User.PK, all: all}
}

func (s *server) listNotifications(w http.ResponseWriter, r *http.Request) error {
	q, err := notificationList.Parse(r)
	if err != nil {
		return err
	}
	var page sqldb.Page[Notification]
	err = s.db.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		page, err = listNotifications(tx, ownerOf(r), q)
		return err
	})
	if err != nil {
		return err
	}
	return NotificationSerializer.WriteList(w, r, listing.Info(q, page), page.Rows)
}

func (s *server) getNotification(w http.ResponseWriter, r *http.Request) error {
	n, err := s.readNotification(r)
	if err != nil {
		return err
	}
	return NotificationSerializer.Write(w, r, http.StatusOK, &n)
}

// readNotification reads the notification that the path names; 404 where the caller has none of that key.
func (s *server) readNotification(r *http.Request) (n Notification, err error) {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return n, err
	}
	err = s.db.Read(r.Context(), func(tx *sqldb.Tx) error {
		n, err = getNotification(tx, ownerOf(r), pk)
		return err
	})
	return n, orNotFound(err)
}

// orNotFound turns a missing row into 404.
func orNotFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return drf.NotFound()
	}
	return err
}

// updateNotification is PUT and PATCH: Belfry's main job.
func (s *server) updateNotification(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	in := NotificationSerializer.Read(w, r, drf.ModeOf(r))
	var n Notification
	if in.Patch.Event.Set {
		n, err = s.patchWithEvent(r, pk, in)
	} else {
		n, err = s.patchNotification(r, pk, in)
	}
	if err != nil {
		return orNotFound(err)
	}
	return NotificationSerializer.Write(w, r, http.StatusOK, &n)
}

// patchNotification changes the notification's own fields, in one write.
func (s *server) patchNotification(r *http.Request, pk string, in drf.Input[NotificationPatch]) (n Notification, err error) {
	o := ownerOf(r)
	err = s.db.Write(r.Context(), func(tx *sqldb.Tx) error {
		current, err := lockNotification(tx, o, pk)
		if err != nil {
			return err
		}
		if err := checkNotification(in, false); err != nil {
			return err
		}
		n = current
		in.Patch.apply(&n, time.Now().UnixMicro())
		s.noteInbox(tx, n.UserPK, pk)
		return updateNotification(tx, &current, &n)
	})
	return n, err
}

// checkNotification answers all that is wrong with a body. A hyperlink becomes a link in somebody's browser:
// it leads to a page, here or elsewhere, and runs nothing. makes says that a PATCH makes its event.
func checkNotification(in drf.Input[NotificationPatch], makes bool) error {
	link := in.Patch.Hyperlink
	leads := !link.Set || link.Null || leadsToPage(link.Value)
	if leads && !makes {
		return in.Err()
	}
	errs := in.Errors()
	if makes {
		requireOfFirst(errs, in.Patch.Event)
	}
	if !leads {
		errs.Add("hyperlink", "Enter an http or https URL, or a path that begins with one slash.")
	}
	return errs.Err()
}

// requireOfFirst asks for what a new event needs, and a PATCH is not asked for, unless no event could be read at all.
func requireOfFirst(errs *drf.Errors, event drf.Field[EventPatch]) {
	if event.Null || errs.Has("event") && event.Value == (EventPatch{}) {
		return
	}
	missing := drf.NewErrors()
	if !event.Value.Action.Set {
		missing.Add("action", drf.MsgRequired)
	}
	if !event.Value.App.Set {
		missing.Add("app", drf.MsgRequired)
	}
	errs.Nest("event", missing)
}

// leadsToPage reports whether a link is "", an http or https URL, or a path on this host. Browsers read a
// backslash as a slash and drop control characters, so that neither may be in it.
func leadsToPage(link string) bool {
	if link == "" {
		return true
	}
	if strings.ContainsFunc(link, func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f }) {
		return false
	}
	to, err := url.Parse(link)
	if err != nil {
		return false
	}
	if to.Scheme == "" {
		return strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "//")
	}
	return (to.Scheme == "http" || to.Scheme == "https") && to.Host != ""
}

// patchWithEvent changes a notification and its event together (deviation 1). What follows from the change is
// prepared from a read; the write stores it if the event still is what was read, else all is prepared again.
func (s *server) patchWithEvent(r *http.Request, pk string, in drf.Input[NotificationPatch]) (n Notification, err error) {
	ctx := r.Context()
	err = retry(ctx, func() error {
		read, err := s.readNotification(r)
		if err != nil {
			return err
		}
		if err := mayChangeEvent(r); err != nil {
			return err
		}
		if err := checkNotification(in, read.Event == nil && r.Method == http.MethodPatch); err != nil {
			return err
		}
		c, err := s.prepareNested(r, read.Event, in.Patch.Event.Value)
		if err != nil {
			return err
		}
		return s.db.Write(ctx, func(tx *sqldb.Tx) error {
			current, err := lockNotification(tx, ownerOf(r), pk)
			if err != nil {
				return err
			}
			n = current
			if n.Event, err = lockLinked(tx, n.Event); err != nil {
				return err
			}
			if n.Event, err = s.recorder.commitChange(r.Context(), tx, n.Event, c); err != nil {
				return err
			}
			in.Patch.apply(&n, time.Now().UnixMicro())
			s.noteInbox(tx, n.UserPK, pk)
			return updateNotification(tx, &current, &n)
		})
	})
	return n, err
}

// mayChangeEvent refuses a body with the key event to all who may not change events, whatever is in it;
// only then are its fields looked at.
func mayChangeEvent(r *http.Request) error {
	caller := identity.CallerOf(r.Context())
	if !caller.Superuser || !caller.Scopes.Has(identity.ScopeAdmin) {
		return drf.Forbidden()
	}
	return nil
}

// prepareNested prepares the edit of a notification's event, or its making where it has none.
func (s *server) prepareNested(r *http.Request, event *Event, patch EventPatch) (*change, error) {
	if event == nil {
		return prepareFirst(patch), nil
	}
	return s.recorder.prepareChange(r.Context(), r, *event, patch)
}

// lockLinked locks a notification's event; nil where there is none (any more).
func lockLinked(tx *sqldb.Tx, linked *Event) (*Event, error) {
	if linked == nil {
		return nil, nil
	}
	e, err := lockEvent(tx, linked.PK)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &e, err
}

func (s *server) deleteNotification(w http.ResponseWriter, r *http.Request) error {
	pk, err := drf.PathUUID(r, "uuid")
	if err != nil {
		return err
	}
	err = s.db.Write(r.Context(), func(tx *sqldb.Tx) error {
		user, err := deleteNotification(tx, ownerOf(r), pk)
		s.noteInbox(tx, user, pk)
		return err
	})
	if err != nil {
		return orNotFound(err)
	}
	return drf.NoContent(w)
}

// notificationUsedBy answers []: nothing refers to a notification.
func (s *server) notificationUsedBy(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.readNotification(r); err != nil {
		return err
	}
	return drf.WriteUsedBy(w, r, nil)
}

// seenBatch is how many notifications one write of mark_all_seen changes, so that others wait briefly.
const seenBatch = 1000

// markAllSeen marks the caller's own notifications, also a superuser's.
func (s *server) markAllSeen(w http.ResponseWriter, r *http.Request) error {
	user := identity.CallerOf(r.Context()).User.PK
	for marked := int64(seenBatch); marked == seenBatch; {
		err := s.db.Write(r.Context(), func(tx *sqldb.Tx) (err error) {
			s.noteInbox(tx, user, "")
			marked, err = markSeen(tx, user, seenBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return drf.NoContent(w)
}
