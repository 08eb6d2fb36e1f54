package delivery

import (
	"context"
	"errors"
	"net/http"
	"time"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// previewPatch is the body of a preview.
type previewPatch struct{ Expression, Event drf.Field[string] }

// PreviewRequestSerializer reads what is to be previewed.
var PreviewRequestSerializer = drf.NewSerializer("WebhookMappingPreviewRequest",
	drf.Text[nothing]("expression", nil, func(p *previewPatch) *drf.Field[string] { return &p.Expression },
		drf.Required(), drf.Secret(), drf.Valid(runnable)),
	drf.Ref[nothing]("event", nil, func(p *previewPatch) *drf.Field[string] { return &p.Event }, drf.Required()),
)

// PreviewSerializer writes what an expression made.
var PreviewSerializer = drf.NewSerializer("WebhookMappingPreview",
	drf.Any[script.Result, nothing]("result", func(r *script.Result) drf.JSON { return drf.JSON(r.JSON) }, nil,
		drf.Help("What the expression returned: the body of a webhook, or its headers.")),
	drf.Text[script.Result, nothing]("body", func(r *script.Result) string { return r.Body }, nil,
		drf.Help("The notification's body afterwards, which is all that counts for a local transport.")),
	drf.Strings[script.Result, nothing]("messages", nil, func(r *script.Result) []string { return append([]string{}, r.Messages...) }, nil),
)

// PreviewMapping answers POST /api/belfry/mappings/preview/ with what an expression makes of a stored event, as if the caller were
// told of it. Nothing is sent or written. Why an expression fails stands under its field, with the line and column where that is known.
func (a *API) PreviewMapping(w http.ResponseWriter, r *http.Request) error {
	in := PreviewRequestSerializer.Read(w, r, drf.Create)
	event, user, err := a.previewed(r.Context(), in)
	if err != nil {
		return err
	}
	program, err := script.Compile(in.Patch.Expression.Value)
	if err != nil {
		return drf.Invalid("expression", err.Error())
	}
	result, err := a.Worker.opt.Runner.Run(r.Context(), program, inputOf(event, testSeverity, event.Summary, user))
	switch {
	case errors.Is(err, script.ErrBusy):
		return drf.Unavailable("Many expressions are running. Try again in a moment.", time.Second, err)
	case err != nil && r.Context().Err() != nil:
		return err
	case err != nil:
		return drf.Invalid("expression", err.Error())
	}
	return PreviewSerializer.Write(w, r, http.StatusOK, &result)
}

// previewed reads the event and the caller as expressions see them, once the request is right.
func (a *API) previewed(ctx context.Context, in drf.Input[previewPatch]) (event *script.Event, user *script.User, err error) {
	err = a.DB.Read(ctx, func(tx *sqldb.Tx) (err error) {
		errs := in.Errors()
		if pk := in.Patch.Event; pk.Set && !errs.Has("event") {
			if event, err = a.Worker.opt.Event(tx, pk.Value); err != nil {
				return err
			}
			if event == nil {
				errs.Add("event", drf.InvalidPK(pk.Value))
			}
		}
		if err := errs.Err(); err != nil {
			return err
		}
		user, err = identity.ScriptUser(tx, identity.CallerOf(ctx).User.PK)
		return err
	})
	return event, user, err
}
