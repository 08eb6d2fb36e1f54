package script

import (
	"errors"
	"maps"

	"go.starlark.net/starlark"
)

// environment is what an expression sees, made anew for each run.
func environment(in Input) (starlark.StringDict, error) {
	if in.size() > MaxInput {
		return nil, words("the event has more than 64 KiB, which is what an expression may be given")
	}
	user, err := userObject(in.User)
	if err != nil {
		return nil, err
	}
	var event, notification starlark.Value = starlark.None, starlark.None
	context := starlark.NewDict(2)
	if in.Event != nil {
		if event, err = eventObject(in.Event); err != nil {
			return nil, err
		}
	}
	if in.Notification != nil {
		notification = notificationObject(in.Notification, event, user)
	}
	for _, pair := range []starlark.Tuple{{starlark.String("event"), event}, {starlark.String("notification"), notification}} {
		if pair[1] == starlark.None {
			continue
		}
		if err := context.SetKey(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	request := newObject("request", "request")
	request.set("user", user)
	request.set("context", context)
	request.set("obj", event)
	request.set("http_request", starlark.None)

	env := maps.Clone(library)
	maps.Copy(env, guards)
	maps.Copy(env, starlark.StringDict{"context": context, "event": event, "notification": notification, "request": request, "user": user})
	return env, nil
}

// size is how many bytes of text an expression is given.
func (in Input) size() int {
	n := 0
	if e := in.Event; e != nil {
		n += len(e.User) + len(e.Context) + len(e.Brand) + len(e.Summary)
	}
	if in.Notification != nil {
		n += len(in.Notification.Body)
	}
	if u := in.User; u != nil {
		n += len(u.Attributes) + len(u.GroupAttributes) + len(u.Username) + len(u.Name) + len(u.Email)
		for _, group := range u.Groups {
			n += len(group)
		}
	}
	return n
}

// failed says what went wrong in a run in the terms of the expression.
func (p *Program) failed(m *meter, err error) *Error {
	failed := &Error{Message: err.Error()}
	if e, ok := errors.AsType[*starlark.EvalError](err); ok {
		failed.Message = e.Msg
		for i := range e.CallStack { // the innermost place that is one of the expression
			if pos := e.CallStack.At(i).Pos; pos.Line > 1 {
				here := p.origin.here(pos)
				failed.Line, failed.Column = here.line, here.column
				break
			}
		}
	}
	if limit, ok := errors.AsType[limitError](err); ok {
		failed.Message, failed.limit = string(limit), true
	}
	if m.stopped != "" {
		failed.Message, failed.limit = m.stopped, true
	}
	return failed
}
