package outbound

import (
	"embed"
	"html/template"
	"slices"
	"strings"
	"unicode"
)

// Mail is a message ready to be sent.
type Mail struct{ Subject, Text, HTML string }

//go:embed mail.html
var templates embed.FS

// mailTemplate knows where in the page a text stands, and escapes it for that place.
var mailTemplate = template.Must(template.ParseFS(templates, "mail.html"))

// Limits of a mail, texts in UTF-16 units: a text of the context may be as long as an event.
const (
	longestSubject = 250 // in all
	longestExtract = 75  // of the text, where there is no event
	mostRows       = 100
	longestTable   = 16 << 10 // all rows together, because a mail is stored for every recipient
)

// MailBody is a mail: its subject begins with prefix. Text of the event is text, in both of its forms.
func MailBody(m Message, prefix string) Mail {
	subject := m.Action
	if subject == "" {
		subject = cut(m.Body, longestExtract)
	}
	page := mailPage{Title: cut(oneLine(m.title()), longestTitle), Body: m.Body, Rows: m.rows()}
	if m.RecipientIsAdmin {
		page.Transport = m.Transport
	}
	return Mail{Subject: cut(oneLine(prefix+subject), longestSubject), Text: page.text(), HTML: page.html()}
}

// mailPage is what both forms of a mail show.
type mailPage struct {
	Title, Body string
	Rows        []Entry
	Transport   string // "" for those whom it does not concern
}

// rows are the table of a mail: who it is for, who caused it, and what the event says.
func (m *Message) rows() []Entry {
	rows := []Entry{{"user_email", m.Recipient.Email}, {"user_username", m.Recipient.Username}}
	if u := m.EventUser; u != nil {
		if u.Email != nil {
			rows = append(rows, Entry{"event_user_email", *u.Email})
		}
		if u.Username != nil {
			rows = append(rows, Entry{"event_user_username", *u.Username})
		}
	}
	rows = slices.Concat(rows, m.Context)
	rows = rows[:min(len(rows), mostRows)]
	room := longestTable
	for i, row := range rows {
		rows[i] = Entry{cut(oneLine(row.Name), longestTitle), cut(row.Value, longestValue)}
		if room -= units(rows[i].Name) + units(rows[i].Value); room < 0 {
			return rows[:i]
		}
	}
	return rows
}

// html is the mail for those who see it formatted. It fetches nothing and leads nowhere.
func (p *mailPage) html() string {
	var b strings.Builder
	if err := mailTemplate.Execute(&b, p); err != nil {
		panic(err) // the template and its data are ours
	}
	return b.String()
}

// text is the mail for those who see letters only.
func (p *mailPage) text() string {
	var b strings.Builder
	b.WriteString(p.Title + "\n\n")
	if p.Body != p.Title {
		b.WriteString(indented(p.Body) + "\n\n")
	}
	for _, row := range p.Rows {
		b.WriteString(row.Name + ": " + indented(row.Value) + "\n")
	}
	if p.Transport != "" {
		b.WriteString("\nThis email was sent from the notification transport " + oneLine(p.Transport) + ".\n")
	}
	return b.String()
}

// indented sets further lines of a text apart, so that none of them looks like a row.
func indented(text string) string {
	return strings.Join(strings.FieldsFunc(text, isLineBreak), "\n    ")
}

// isLineBreak reports whether a character ends a line in any reader of mail.
func isLineBreak(r rune) bool { return strings.ContainsRune("\n\r\v\f\u0085\u2028\u2029", r) }

// oneLine makes one line of text: what ends a line, or is not meant to be seen, becomes a space.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || isLineBreak(r) }), " ")
}
