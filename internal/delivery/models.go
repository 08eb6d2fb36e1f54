// Package delivery holds the transports: the ways by which a notification
// reaches people, and the mappings that make what a webhook sends. Which rule uses which transport is not known here; whoever
// asks for that hands in a function.
package delivery

import (
	"belfry/internal/drf"
	"belfry/internal/sqldb"
	"belfry/internal/trail"
)

// The modes of a transport.
const (
	ModeLocal   = "local"         // a notification in Belfry's own inbox
	ModeWebhook = "webhook"       // a POST with a JSON body
	ModeSlack   = "webhook_slack" // a POST in the form that Slack and Discord take
	ModeEmail   = "email"         // a mail to the recipient
)

var modes = &drf.Choices{
	Name:   "NotificationTransportModeEnum",
	Values: []string{ModeLocal, ModeWebhook, ModeSlack, ModeEmail},
}

// modeLabels are what the mode_verbose field says of each mode.
var modeLabels = map[string]string{
	ModeLocal:   "authentik inbuilt notifications",
	ModeWebhook: "Generic Webhook",
	ModeSlack:   "Slack Webhook (Slack/Discord)",
	ModeEmail:   "Email",
}

// Transport is one way of delivery. Its name is unique.
type Transport struct {
	PK         string
	Name       string
	Mode       string // one of the modes above
	WebhookURL string // "" for none
	// BodyMapping and HeadersMapping are the pks of the mappings that make what a webhook sends; nil for none.
	BodyMapping, HeadersMapping *string
	// SendOnce stops after the first recipient, as a message into a chat channel wants it.
	SendOnce           bool
	EmailSubjectPrefix string
	EmailTemplate      string
	// DisabledAt (UTC microseconds) parks the transport's deliveries until it is nil again; DisabledReason says why.
	DisabledAt     *int64
	DisabledReason string
	// Secret signs what a webhook sends, and PreviousSecret does so too while receivers learn the new one; "" for none.
	Secret, PreviousSecret string
}

// newTransport has a pk of its own and the defaults of authentik.
func newTransport() Transport {
	return Transport{
		PK:                 sqldb.NewID(),
		Mode:               ModeLocal,
		EmailSubjectPrefix: "authentik Notification: ",
		EmailTemplate:      "email/event_notification.html",
	}
}

// TransportPatch is what a request asks to be changed of a transport.
type TransportPatch struct {
	Name, Mode, WebhookURL            drf.Field[string]
	BodyMapping, HeadersMapping       drf.Field[string]
	SendOnce                          drf.Field[bool]
	EmailSubjectPrefix, EmailTemplate drf.Field[string]
}

func (p *TransportPatch) apply(t *Transport) {
	p.Name.Apply(&t.Name)
	p.Mode.Apply(&t.Mode)
	p.WebhookURL.Apply(&t.WebhookURL)
	p.BodyMapping.ApplyNull(&t.BodyMapping)
	p.HeadersMapping.ApplyNull(&t.HeadersMapping)
	p.SendOnce.Apply(&t.SendOnce)
	p.EmailSubjectPrefix.Apply(&t.EmailSubjectPrefix)
	p.EmailTemplate.Apply(&t.EmailTemplate)
}

// wantsURL reports whether the request sets a webhook mode without a URL. As in
// authentik only the request is looked at, not what is stored.
func (p *TransportPatch) wantsURL() bool {
	webhook := p.Mode.Value == ModeWebhook || p.Mode.Value == ModeSlack
	return p.Mode.Set && webhook && p.WebhookURL.Value == ""
}

// TransportSerializer is how the API reads and writes a [Transport].
var TransportSerializer = drf.NewSerializer("NotificationTransport",
	drf.UUID[Transport, TransportPatch]("pk", func(t *Transport) string { return t.PK }),
	drf.Text("name", func(t *Transport) string { return t.Name },
		func(p *TransportPatch) *drf.Field[string] { return &p.Name }, drf.Required()),
	drf.Choice("mode", modes, func(t *Transport) string { return t.Mode },
		func(p *TransportPatch) *drf.Field[string] { return &p.Mode }),
	drf.Text[Transport, TransportPatch]("mode_verbose", func(t *Transport) string { return modeLabels[t.Mode] }, nil,
		drf.Help("Return selected mode with a UI Label")),
	drf.URL("webhook_url", func(t *Transport) string { return t.WebhookURL },
		func(p *TransportPatch) *drf.Field[string] { return &p.WebhookURL }, drf.AllowBlank(), drf.Secret()),
	drf.Ref("webhook_mapping", func(t *Transport) *string { return t.BodyMapping },
		func(p *TransportPatch) *drf.Field[string] { return &p.BodyMapping },
		drf.Nullable(), drf.Alias("webhook_mapping_body", "2025.2")),
	drf.Bool("send_once", func(t *Transport) bool { return t.SendOnce },
		func(p *TransportPatch) *drf.Field[bool] { return &p.SendOnce },
		drf.Help("Only send notification once, for example when sending a webhook into a chat channel.")),
	drf.Ref("webhook_mapping_headers", func(t *Transport) *string { return t.HeadersMapping },
		func(p *TransportPatch) *drf.Field[string] { return &p.HeadersMapping },
		drf.Nullable(), drf.Since("2025.2")),
	drf.Text("email_subject_prefix", func(t *Transport) string { return t.EmailSubjectPrefix },
		func(p *TransportPatch) *drf.Field[string] { return &p.EmailSubjectPrefix },
		drf.AllowBlank(), drf.Since("2025.8")),
	drf.Text("email_template", func(t *Transport) string { return t.EmailTemplate },
		func(p *TransportPatch) *drf.Field[string] { return &p.EmailTemplate }, drf.Since("2025.8")),
)

// transportKind is how transports stand in the trail.
var transportKind = trail.Kind[Transport, TransportPatch]{
	App: "authentik_events", Model: "notificationtransport", Serializer: TransportSerializer,
	PK:   func(t *Transport) drf.JSON { return trail.HexPK(t.PK) },
	Name: func(t *Transport) string { return t.Name },
}

// TransportList is what GET /events/transports/ takes.
var TransportList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "mode", Kind: drf.FilterChoice, Choices: modes},
		{Name: "name"},
		{Name: "send_once", Kind: drf.FilterBool},
		{Name: "webhook_url"},
	},
	Search: true,
	Orderings: []string{"pk", "name", "mode", "webhook_url", "webhook_mapping", "webhook_mapping_body", "send_once",
		"webhook_mapping_headers", "email_subject_prefix", "email_template"},
	Default: []string{"name"},
}
