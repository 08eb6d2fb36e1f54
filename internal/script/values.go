package script

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// object is what an expression sees of something of ours: named values, of which at most one may be assigned.
type object struct {
	kind     string
	names    []string
	values   starlark.StringDict
	text     string         // str(x)
	document starlark.Value // what stands for it in JSON; nil: nothing can
	mutable  string
}

func newObject(kind, text string) *object {
	return &object{kind: kind, text: text, values: starlark.StringDict{}}
}

// set adds a named value.
func (o *object) set(name string, v starlark.Value) {
	o.names = append(o.names, name)
	o.values[name] = v
}

func (o *object) String() string        { return o.text }
func (o *object) Type() string          { return o.kind }
func (o *object) Freeze()               {}
func (o *object) Truth() starlark.Bool  { return true }
func (o *object) Hash() (uint32, error) { return 0, words("%s cannot be a key", article(o.kind)) }
func (o *object) AttrNames() []string   { return slices.Clone(o.names) }

// Attr is the value of a name; none is no error, for the caller knows a better sentence.
func (o *object) Attr(name string) (starlark.Value, error) { return o.values[name], nil }

// SetField is an assignment, which only the body of a notification takes.
func (o *object) SetField(name string, v starlark.Value) error {
	if name != o.mutable || name == "" {
		return words("%s.%s cannot be assigned: only notification.body can", o.kind, name)
	}
	if _, ok := v.(starlark.String); !ok {
		return words("%s.%s is to be a string, not %s: write str(…)", o.kind, name, article(v.Type()))
	}
	o.values[name] = v
	return nil
}

// methodOf makes a method without arguments.
func methodOf(name string, f func() (starlark.Value, error)) starlark.Value {
	return builtin(name, func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) { return f() })
}

// orNothing is text, or None where there is none.
func orNothing(text string) starlark.Value {
	if text == "" {
		return starlark.None
	}
	return starlark.String(text)
}

// dictOf is a JSON object as an expression sees it. What is none is {}, as rules see it, so that .get never fails.
func dictOf(raw json.RawMessage) (starlark.Value, error) {
	if len(raw) == 0 {
		return starlark.NewDict(0), nil
	}
	v, err := fromJSON(raw)
	if _, ok := v.(*starlark.Dict); !ok {
		return starlark.NewDict(0), err
	}
	return v, err
}

// document is a dict of texts, in order.
func document(pairs ...any) *starlark.Dict {
	d := starlark.NewDict(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		// Keys are texts and the dict is new, so that nothing can fail.
		_ = d.SetKey(starlark.String(pairs[i].(string)), pairs[i+1].(starlark.Value))
	}
	return d
}

// modelDocument is how authentik writes an object of its own into JSON.
func modelDocument(app, model, pk, name string) *starlark.Dict {
	return document("app", starlark.String(app), "name", starlark.String(name),
		"pk", starlark.String(strings.ReplaceAll(pk, "-", "")), "model_name", starlark.String(model))
}

// anonymous stands for nobody, under the name that authentik gives it.
var anonymous = User{Username: "AnonymousUser", IsActive: true}

// userObject is "user" and "request.user".
func userObject(u *User) (*object, error) {
	known := u != nil
	if !known {
		u = &anonymous
	}
	attributes, err := dictOf(u.Attributes)
	if err != nil {
		return nil, err
	}
	o := newObject("user", u.Username)
	var pk starlark.Value = starlark.None
	if known {
		pk = starlark.MakeInt64(u.PK)
	}
	o.document = document("pk", pk, "username", starlark.String(u.Username), "email", starlark.String(u.Email))
	o.set("pk", pk)
	o.set("username", starlark.String(u.Username))
	o.set("name", starlark.String(u.Name))
	o.set("email", starlark.String(u.Email))
	o.set("is_active", starlark.Bool(u.IsActive))
	o.set("is_superuser", starlark.Bool(u.IsSuperuser))
	o.set("is_authenticated", starlark.Bool(known))
	o.set("is_anonymous", starlark.Bool(!known))
	o.set("attributes", attributes)
	groups := groupsOf(u.Groups)
	o.set("ak_groups", groups)
	o.set("groups", groups)
	o.set("all_groups", methodOf("all_groups", func() (starlark.Value, error) { return groups, nil }))
	o.set("group_attributes", builtin("group_attributes", func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		return mergedAttributes(u)
	}))
	return o, nil
}

// mergedAttributes are those of the user's groups with the user's own over them, objects within objects too.
func mergedAttributes(u *User) (starlark.Value, error) {
	base, err := dictOf(u.GroupAttributes)
	if err != nil {
		return nil, err
	}
	over, err := dictOf(u.Attributes)
	if err != nil {
		return nil, err
	}
	return merge(base, over)
}

func merge(base, over starlark.Value) (starlark.Value, error) {
	b, isDict := base.(*starlark.Dict)
	o, both := over.(*starlark.Dict)
	if !isDict || !both {
		return over, nil
	}
	for _, item := range o.Items() {
		value := item[1]
		if old, found, err := b.Get(item[0]); err != nil {
			return nil, err
		} else if found {
			if value, err = merge(old, value); err != nil {
				return nil, err
			}
		}
		if err := b.SetKey(item[0], value); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// eventObject is "event" and request.context["event"].
func eventObject(e *Event) (*object, error) {
	o := newObject("event", "")
	for _, part := range []struct {
		name string
		raw  json.RawMessage
	}{{"user", e.User}, {"context", e.Context}, {"brand", e.Brand}} {
		v, err := dictOf(part.raw)
		if err != nil {
			return nil, err
		}
		o.set(part.name, v)
	}
	var w writer
	w.write("Event action=" + e.Action + " user=")
	w.value(o.values["user"], 0)
	w.write(" context=")
	w.value(o.values["context"], 0)
	o.text = w.String()
	o.document = modelDocument("authentik_events", "event", e.PK, o.text)
	o.set("pk", starlark.String(e.PK))
	o.set("event_uuid", starlark.String(e.PK))
	o.set("action", starlark.String(e.Action))
	o.set("app", starlark.String(e.App))
	o.set("client_ip", orNothing(e.ClientIP))
	o.set("summary", starlark.String(e.Summary))
	o.set("created", datetime(e.Created.UTC()))
	o.set("expires", datetime(e.Expires.UTC()))
	return o, nil
}

// notificationObject is "notification".
func notificationObject(n *Notification, event, user starlark.Value) *object {
	o := newObject("notification", fmt.Sprintf("Notification for user %s: %s", user, n.Body))
	o.document = modelDocument("authentik_events", "notification", n.PK, o.text)
	o.mutable = "body"
	o.set("pk", orNothing(n.PK))
	o.set("uuid", orNothing(n.PK))
	o.set("severity", starlark.String(n.Severity))
	o.set("body", starlark.String(n.Body))
	o.set("created", datetime(n.Created.UTC()))
	o.set("event", event)
	o.set("user", user)
	o.set("seen", starlark.False)
	return o
}
