package delivery

import (
	"embed"
	"net/http"

	"belfry/internal/drf"
)

// Preset is a mapping that is ready to be used for one service: its expressions become webhook mappings, after what is
// the user's own has been put in.
type Preset struct {
	Name        string // of the service
	Description string // what has to be put in, in a sentence
	WebhookURL  string // what a transport's URL looks like
	Body        string // the expression that makes the body
	Headers     string // the expression that makes the headers, or ""
	Docs        string // where the service says what it takes
}

//go:embed presets/*.py
var presetFiles embed.FS

// presetFile is the text of a file that is embedded.
func presetFile(name string) string {
	text, err := presetFiles.ReadFile("presets/" + name + ".py")
	if err != nil {
		panic(err) // a name that is not there is a mistake in this file, which any test finds
	}
	return string(text)
}

// Presets are the services that mappings are ready for.
var Presets = []Preset{
	{Name: "Discord", Description: "A webhook of a channel, from the channel's settings under Integrations.",
		WebhookURL: "https://discord.com/api/webhooks/ID/TOKEN", Body: presetFile("discord"),
		Docs: "https://discord.com/developers/docs/resources/webhook#execute-webhook"},
	{Name: "Gotify", Description: "Put the token of an application into the headers mapping.",
		WebhookURL: "https://gotify.example.com/message", Body: presetFile("gotify"), Headers: presetFile("gotify_headers"),
		Docs: "https://gotify.net/docs/pushmsg"},
	{Name: "Matrix", Description: "An inbound webhook of the Hookshot bridge: Matrix itself takes no webhooks.",
		WebhookURL: "https://hookshot.example.com/webhook/ID", Body: presetFile("matrix"),
		Docs: "https://matrix-org.github.io/matrix-hookshot/latest/setup/webhooks.html"},
	{Name: "Mattermost", Description: "An incoming webhook, from Integrations.",
		WebhookURL: "https://mattermost.example.com/hooks/KEY", Body: presetFile("mattermost"),
		Docs: "https://developers.mattermost.com/integrate/webhooks/incoming/"},
	{Name: "Microsoft Teams", Description: "A workflow that posts to a channel when a webhook request is received.",
		WebhookURL: "https://HOST.logic.azure.com:443/workflows/ID/triggers/manual/paths/invoke?api-version=…&sig=…", Body: presetFile("teams"),
		Docs: "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using"},
	{Name: "ntfy", Description: "Put the topic into the body mapping; the headers mapping is for a topic that needs a login.",
		WebhookURL: "https://ntfy.sh/", Body: presetFile("ntfy"), Headers: presetFile("ntfy_headers"),
		Docs: "https://docs.ntfy.sh/publish/#publish-as-json"},
	{Name: "Telegram", Description: "A bot's token goes into the URL, the chat into the body mapping.",
		WebhookURL: "https://api.telegram.org/botTOKEN/sendMessage", Body: presetFile("telegram"),
		Docs: "https://core.telegram.org/bots/api#sendmessage"},
}

// PresetSerializer is how the API writes a [Preset].
var PresetSerializer = drf.NewSerializer("WebhookPreset",
	drf.Text[Preset, struct{}]("name", func(p *Preset) string { return p.Name }, nil),
	drf.Text[Preset, struct{}]("description", func(p *Preset) string { return p.Description }, nil),
	drf.Text[Preset, struct{}]("webhook_url", func(p *Preset) string { return p.WebhookURL }, nil),
	drf.Text[Preset, struct{}]("body", func(p *Preset) string { return p.Body }, nil),
	drf.Text[Preset, struct{}]("headers", func(p *Preset) string { return p.Headers }, nil),
	drf.Text[Preset, struct{}]("docs", func(p *Preset) string { return p.Docs }, nil),
)

// ListPresets answers GET /api/belfry/presets/ with all of them.
func (a *API) ListPresets(w http.ResponseWriter, r *http.Request) error {
	return PresetSerializer.WriteAll(w, r, Presets)
}
