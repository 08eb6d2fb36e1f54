package delivery

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/resource"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// API answers the requests under /api/v3/events/transports/ and /propertymappings/notification/. Who may call what is decided before it.
type API struct {
	DB *sqldb.DB
	// UsedBy answers what refers to a transport.
	UsedBy func(tx *sqldb.Tx, transportPK string) ([]drf.UsedBy, error)
	// Trail records every change, in its transaction.
	Trail trail.Func
	// Worker sends what is due.
	Worker *Worker
	// Rehearse prepares the event of a transport's test, with its message.
	Rehearse func(r *http.Request, message string) Rehearsal
}

// transports are the ways of delivery as a caller sees them who may see the URLs of webhooks, or may not. The rules that
// use one stay when it is deleted.
func (a *API) transports(urls bool) *resource.Noun[Transport, TransportPatch] {
	from := visible(urls)
	return &resource.Noun[Transport, TransportPatch]{
		DB: a.DB, Trail: a.Trail, Changed: a.changed,
		Table: "transport", Path: "uuid",
		Serializer: TransportSerializer, Kind: &transportKind, Spec: TransportList,
		List:  func(tx *sqldb.Tx, q *drf.Query) (sqldb.Page[Transport], error) { return listTransports(tx, q, from) },
		Get:   func(tx *sqldb.Tx, pk, lock string) (Transport, error) { return getTransport(tx, from, pk, lock) },
		Fresh: newTransport, Apply: applyTransport, Insert: insertTransport, Update: updateTransport,
		Taken:   func() error { return drf.Invalid("name", errNameTaken) },
		Deleted: func(tx *sqldb.Tx, t *Transport) error { return CancelOfTransport(tx, t.PK) },
		UsedBy:  a.UsedBy,
	}
}

// changed follows every change of a transport: the worker learns of it at once, also where nothing is due yet, and of one that
// was enabled what has come due meanwhile is sent.
func (a *API) changed(tx *sqldb.Tx) error {
	tx.OnCommit(func() { a.Worker.Wake() })
	return identity.BumpGeneration(tx)
}

// ListTransports answers GET /events/transports/.
func (a *API) ListTransports(w http.ResponseWriter, r *http.Request) error {
	return a.transports(maySeeURLs(r)).AnswerList(w, r)
}

// CreateTransport answers POST /events/transports/.
func (a *API) CreateTransport(w http.ResponseWriter, r *http.Request) error {
	return a.transports(true).AnswerCreate(w, r)
}

// GetTransport answers GET /events/transports/{uuid}/.
func (a *API) GetTransport(w http.ResponseWriter, r *http.Request) error {
	return a.transports(maySeeURLs(r)).AnswerGet(w, r)
}

// UpdateTransport answers PUT and PATCH /events/transports/{uuid}/.
func (a *API) UpdateTransport(w http.ResponseWriter, r *http.Request) error {
	return a.transports(true).AnswerUpdate(w, r)
}

// DeleteTransport answers DELETE /events/transports/{uuid}/.
func (a *API) DeleteTransport(w http.ResponseWriter, r *http.Request) error {
	return a.transports(true).AnswerDelete(w, r)
}

// TransportUsedBy answers GET /events/transports/{uuid}/used_by/ with what UsedBy says.
func (a *API) TransportUsedBy(w http.ResponseWriter, r *http.Request) error {
	return a.transports(false).AnswerUsedBy(w, r)
}

// applyTransport checks a request for t and applies it.
func applyTransport(tx *sqldb.Tx, in drf.Input[TransportPatch], t *Transport) error {
	errs, err := check(tx, in, t.PK)
	if err != nil {
		return err
	}
	if err := errs.Err(); err != nil {
		return err
	}
	// Looked at only when every field is right, as the framework does with rules about more than one.
	if in.Patch.wantsURL() {
		return drf.Invalid("webhook_url", "Webhook URL may not be empty.")
	}
	in.Patch.apply(t)
	if in.Patch.PreviousSecret.Value != "" && t.Secret == "" {
		return drf.Invalid("previous_secret", "There is no secret that this one could stand beside.")
	}
	return nil
}

const errNameTaken = "Notification Transport with this name already exists."

// check answers all that is wrong with a request for the transport pk, field by field.
func check(tx *sqldb.Tx, in drf.Input[TransportPatch], pk string) (*drf.Errors, error) {
	errs := in.Errors()
	if in.Patch.Name.Set {
		taken, err := nameTaken(tx, "transport", in.Patch.Name.Value, pk)
		if err != nil {
			return nil, err
		}
		if taken {
			errs.Add("name", errNameTaken)
		}
	}
	for _, m := range []struct {
		name  string
		field drf.Field[string]
	}{{"webhook_mapping", in.Patch.BodyMapping}, {"webhook_mapping_headers", in.Patch.HeadersMapping}} {
		if err := checkMapping(tx, errs, m.name, m.field); err != nil {
			return nil, err
		}
	}
	if in.Patch.DisabledAt.Value > tx.Now() {
		errs.Add("disabled_at", "A transport is disabled at once: this may not lie in the future.")
	}
	return errs, nil
}

// sentence is the text of an error as people are told it: with a capital, and a full stop where nothing else ends it.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(first)) + text[size:]
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}

// maySeeURLs reports whether the caller may change transports.
func maySeeURLs(r *http.Request) bool {
	caller := identity.CallerOf(r.Context())
	return caller.Superuser && caller.Scopes.Has(identity.ScopeAdmin)
}
