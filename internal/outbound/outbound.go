// Package outbound makes calls to the outside: webhooks over a guarded HTTP client, and mail. For each kind there is a
// pure function that builds what is sent, and a thin send. It knows nothing of the product: who calls decides what is
// sent, to whom, and what follows from the answer.
package outbound

import "unicode/utf16"

// Person is who a message is for.
type Person struct{ Username, Name, Email string }

// EventUser is who caused the event, as far as the event says so; what it does not say is nil.
type EventUser struct{ Username, Email *string }

// Entry is one named text.
type Entry struct{ Name, Value string }

// Message is what the builders of bodies work from.
type Message struct {
	Severity         string
	Body             string // the sentence that people read
	Recipient        Person
	RecipientIsAdmin bool
	Transport        string     // its name
	Action           string     // of the event; "" where there is none
	EventUser        *EventUser // nil where the event has no user, or where there is no event
	Context          []Entry    // of the event's context what is text, in its order
}

// title says what a message is about: the action, or its text where there is no event.
func (m *Message) title() string {
	if m.Action != "" {
		return m.Action
	}
	return m.Body
}

// cut shortens text to at most limit UTF-16 units, the unit in which chat platforms count; what was cut off shows as …
func cut(text string, limit int) string {
	length, end := 0, 0 // end is where the text ends that leaves room for the mark
	for i, r := range text {
		if length < limit {
			end = i
		}
		if length += utf16.RuneLen(r); length > limit {
			return text[:end] + "…"
		}
	}
	return text
}
