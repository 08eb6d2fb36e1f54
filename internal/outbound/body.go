package outbound

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// webhookBody has the keys of authentik's generic webhook, in its order.
type webhookBody struct {
	Body         string `json:"body"`
	Severity     string `json:"severity"`
	UserEmail    string `json:"user_email"`
	UserUsername string `json:"user_username"`
	*webhookEventUser
}

// webhookEventUser is left out where the event has no user.
type webhookEventUser struct {
	Email    *string `json:"event_user_email"`
	Username *string `json:"event_user_username"`
}

// WebhookBody is what a generic webhook sends: a JSON object.
func WebhookBody(m Message) []byte {
	body := webhookBody{Body: m.Body, Severity: m.Severity, UserEmail: m.Recipient.Email, UserUsername: m.Recipient.Username}
	if u := m.EventUser; u != nil {
		body.webhookEventUser = &webhookEventUser{Email: u.Email, Username: u.Username}
	}
	return encode(body)
}

// encode writes JSON without the escapes that only HTML needs.
func encode(v any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // strings, numbers and booleans have no other
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// slackBody is a message as Slack takes it, and Discord at the addresses that end in /slack. What a platform
// would do with text of its own accord is switched off: links, previews, formatting.
type slackBody struct {
	Username    string            `json:"username"`
	Parse       string            `json:"parse"`
	UnfurlLinks bool              `json:"unfurl_links"`
	UnfurlMedia bool              `json:"unfurl_media"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Fallback   string       `json:"fallback"` // what a phone shows before the message is opened
	AuthorName string       `json:"author_name"`
	Title      string       `json:"title"`
	Text       string       `json:"text,omitempty"`
	Color      string       `json:"color"`
	Fields     []slackField `json:"fields"`
	Footer     string       `json:"footer"`
	MarkdownIn []string     `json:"mrkdwn_in"`
}

type slackField struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short,omitempty"`
}

// Limits of the platforms, in UTF-16 units: Discord refuses a message that exceeds any of them.
const (
	longestTitle    = 256
	longestValue    = 1024
	longestSentence = 2000
	mostFields      = 25
	longestMessage  = 6000 // title, text, fields and names together
)

// product is who the messages are from.
const product = "Belfry"

// SlackBody is what a Slack or Discord webhook sends: a JSON object. Text of the event is text there, whatever it says:
// it mentions nobody, and no words of it lead elsewhere than they say.
func SlackBody(m Message, version string) []byte {
	a := slackAttachment{
		Fallback: slackText(m.Body, longestSentence), AuthorName: product, Title: slackText(m.title(), longestTitle),
		Color: "#fd4b2d", Fields: []slackField{}, Footer: product + " " + version, MarkdownIn: []string{},
	}
	if m.Action != "" && !slices.ContainsFunc(m.Context, func(e Entry) bool { return e.Value == m.Body }) {
		a.Text = slackText(m.Body, longestSentence)
	}
	room := longestMessage - units(a.AuthorName) - units(a.Title) - units(a.Text) - units(a.Footer)
	about := m.about()
	for i, entry := range slices.Concat(about, m.Context) {
		field := slackField{Title: slackText(entry.Name, longestTitle), Short: i < len(about)}
		limit := min(longestValue, room-units(field.Title))
		if len(a.Fields) == mostFields || limit < 1 {
			break
		}
		field.Value = slackText(entry.Value, limit)
		if !isVisible(field.Title) || !isVisible(field.Value) {
			continue // Discord refuses a message with an empty field
		}
		room -= units(field.Title) + units(field.Value)
		a.Fields = append(a.Fields, field)
	}
	return encode(slackBody{Username: product, Parse: "none", Attachments: []slackAttachment{a}})
}

// about are the fields that every message begins with.
func (m *Message) about() []Entry {
	entries := []Entry{{"Severity", m.Severity}, {"Dispatched for user", m.Recipient.Username}}
	if u := m.EventUser; u != nil && u.Username != nil {
		entries = append(entries, Entry{"Event user", *u.Username})
	}
	return entries
}

// slackText escapes text and cuts the result to at most limit UTF-16 units, never within an escape.
func slackText(text string, limit int) string {
	var b strings.Builder
	length, room := 0, 0 // room is the length in bytes of what leaves room for the mark of a cut
	before := ' '
	for i, r := range text {
		piece := slackPiece(before, r, text[i:])
		if length < limit {
			room = b.Len()
		}
		if length += units(piece); length > limit {
			return b.String()[:room] + "…"
		}
		b.WriteString(piece)
		before = r
	}
	return b.String()
}

// apart is a space without width: what it stands in is read as it was, and is no markup any more.
const apart = "\u200b"

// slackPiece is one character of a text, escaped by what stands before it and by what begins with it.
func slackPiece(before, r rune, rest string) string {
	switch {
	case r == '&':
		return "&amp;"
	case r == '<':
		return "&lt;"
	case r == '>':
		return "&gt;"
	case r == '@' && isMention(before, rest):
		return "@" + apart
	case r == '(' && before == ']': // a link in Discord: [words](address)
		return apart + "("
	}
	return string(r)
}

// isMention reports whether an @ could call somebody: it does not stand inside the address of a mailbox, or what
// follows calls everybody wherever it stands.
func isMention(before rune, rest string) bool {
	if !unicode.IsLetter(before) && !unicode.IsDigit(before) && !strings.ContainsRune("._-+", before) {
		return true
	}
	rest = strings.ToLower(rest)
	return slices.ContainsFunc([]string{"@everyone", "@here", "@channel", "@group"}, func(all string) bool { return strings.HasPrefix(rest, all) })
}

// units is the length of text as the platforms count.
func units(text string) (n int) {
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// isVisible reports whether there is anything to see in a text.
func isVisible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}
