package outbound

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode"
)

// Mail is a message ready to be sent.
type Mail struct{ Subject, Text, HTML string }

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
	var page htmlBuilder
	page.add(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>%s</title></head>
<body style="font-family: sans-serif; color: #151515">
<h1 style="font-size: 1.25em">%s</h1>
`, p.Title, p.Title)
	if p.Body != p.Title {
		page.add(`<p style="white-space: pre-wrap">%s</p>`+"\n", p.Body)
	}
	page.add(`<table style="border-collapse: collapse">` + "\n")
	for _, row := range p.Rows {
		page.add(`<tr><th style="text-align: left; vertical-align: top; padding: 4px 16px 4px 0">%s</th>`+
			`<td style="white-space: pre-wrap; padding: 4px 0">%s</td></tr>`+"\n", row.Name, row.Value)
	}
	page.add("</table>\n")
	if p.Transport != "" {
		page.add(`<p style="color: #6a6e73">This email was sent from the notification transport <code>%s</code>.</p>`+"\n", p.Transport)
	}
	page.add("</body>\n</html>\n")
	return page.String()
}

// htmlBuilder makes a page. A page whose texts stand between tags and nowhere else needs no template that knows about
// places; and text/template, with the reflection that it needs, would keep every exported method in the program.
type htmlBuilder struct{ strings.Builder }

// add adds a piece of markup of our own. Its texts come in the place of each %s, and cannot be more than text there.
func (b *htmlBuilder) add(markup string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, text := range texts {
		escaped[i] = html.EscapeString(text)
	}
	fmt.Fprintf(b, markup, escaped...)
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
