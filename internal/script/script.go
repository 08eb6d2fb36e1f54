// Package script runs the expressions of webhook mappings and expression policies: the bodies of Python functions as
// authentik has them. It translates them to Starlark, which is Python's nearest kin that can be run safely: no files,
// no network, no clock, no endless loop. It knows nothing of the database: an [Input] holds all that an expression sees.
package script

import (
	"encoding/json"
	"fmt"
	"time"
)

// MaxInput is how many bytes the source of an expression may have, the text in an [Input], and the JSON of a [Result].
const MaxInput = 64 << 10

// User is a person as expressions see one, as "user" and "request.user".
type User struct {
	PK                    int64
	Username, Name, Email string
	IsActive, IsSuperuser bool
	Attributes            json.RawMessage // an object; empty means {}
	GroupAttributes       json.RawMessage // those of the user's groups, merged; empty means {}
	Groups                []string        // the names of the user's groups
}

// Event is an event as expressions see one.
type Event struct {
	PK, Action, App      string
	ClientIP             string // "" is None
	Summary              string // the readable sentence
	Created, Expires     time.Time
	User, Context, Brand json.RawMessage // what is no object is {}
}

// Notification is what a mapping sends. It has not been stored yet, and its body may be assigned.
type Notification struct {
	PK, Severity, Body string
	Created            time.Time
}

// Input is all that an expression sees.
type Input struct {
	Event        *Event        // nil: there is none
	Notification *Notification // of mappings; nil for policies. Its event and user are those beside it
	User         *User         // the recipient for mappings, whoever caused the event for policies; nil is the anonymous user
}

// Result is what came of an expression.
type Result struct {
	JSON     []byte   // the returned value as compact JSON; null where nothing was returned
	Passing  bool     // the truth value of what was returned, as Python has it
	Body     string   // the notification's body afterwards, which the expression may have changed
	Messages []string // what was given to ak_message, in order
}

// Error is why an expression cannot be compiled, or failed.
type Error struct {
	Line, Column int    // from 1, in characters of the expression's source; 0 when there is no such place
	Message      string // a sentence without its full stop, for who wrote the expression
	limit        bool   // a limit was overrun
}

// Error says what is wrong and where.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}
