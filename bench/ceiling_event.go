package main

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"belfry/internal/rules"
)

// The bounds of Belfry's bodies.
const (
	deepest = 64
	longest = 100
)

// actions are those that an event may have, without the custom ones.
var actions = func() map[string]bool {
	all := map[string]bool{}
	for _, action := range rules.EventActions.Values {
		all[action] = true
	}
	return all
}()

// plainEvent is a posted event as it is answered: raw values, most of them cut out of the body.
type plainEvent struct {
	body                                []byte
	user, action, app, context, address []byte
}

// appendEvent appends what a new event is made of.
func appendEvent(dst, body []byte) ([]byte, error) {
	e := plainEvent{body: body, user: []byte("{}"), context: []byte("{}"), address: []byte("null")}
	if err := decodeObject(body, e.member); err != nil {
		return nil, err
	}
	if e.action == nil || e.app == nil {
		return nil, errors.New("an event needs an action and an app")
	}
	for _, part := range []struct {
		key   string
		value []byte
	}{{`,"user":`, e.user}, {`,"action":`, e.action}, {`,"app":`, e.app}, {`,"context":`, e.context}, {`,"client_ip":`, e.address}} {
		dst = append(append(dst, part.key...), part.value...)
	}
	return dst, nil
}

// member reads the value of one member; those that are not answered are checked, no more.
func (e *plainEvent) member(name string, d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	kind, end := value.Kind(), int(d.InputOffset())
	value = e.body[end-len(value) : end] // the decoder's own does not outlive its next call
	switch name {
	case "user", "context", "brand":
		if kind == jsontext.KindNull {
			return errors.New(name + " is null")
		}
		switch name {
		case "user":
			e.user = value
		case "context":
			e.context = value
		}
		return nil
	case "action", "app", "client_ip", "expires":
		return e.text(name, kind, value)
	}
	return nil
}

// text reads the value of a member that is a text.
func (e *plainEvent) text(name string, kind jsontext.Kind, value jsontext.Value) error {
	if name == "client_ip" && kind == jsontext.KindNull {
		return nil
	}
	if kind != jsontext.KindString {
		return errors.New(name + " is no text")
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return err
	}
	ok := false
	switch name {
	case "action":
		ok = actions[string(text)] || rules.EventActions.Also(string(text))
		e.action = value
	case "app":
		ok = len(bytes.TrimSpace(text)) > 0
		e.app = value
	case "client_ip":
		var address netip.Addr
		address, err = netip.ParseAddr(string(text))
		ok, e.address = err == nil, strconv.AppendQuote(nil, address.String())
	case "expires":
		_, err = time.Parse(time.RFC3339Nano, string(text))
		ok = err == nil
	}
	if !ok {
		return errors.New(name + " has an unusable value")
	}
	return nil
}

// checkBounds refuses what is JSON, and yet beyond Belfry's bounds: nesting that is too deep, numbers that are too long or
// beyond float64, the character NUL. What is no JSON may pass: the decoder refuses that.
func checkBounds(body []byte) error {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			end, err := skipText(body, i+1)
			if err != nil {
				return err
			}
			i = end
		case c == '{' || c == '[':
			if depth++; depth > deepest {
				return errors.New("nested too deeply")
			}
		case c == '}' || c == ']':
			depth--
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(body) && bytes.IndexByte([]byte("+-.eE0123456789"), body[end]) >= 0 {
				end++
			}
			if err := checkNumber(body[i:end]); err != nil {
				return err
			}
			i = end - 1
		}
	}
	return nil
}

// skipText answers where the text that begins at from ends: at its quotation mark, or with the body.
func skipText(body []byte, from int) (end int, err error) {
	for end = from; end < len(body) && body[end] != '"'; end++ {
		if body[end] != '\\' {
			continue
		}
		if end++; bytes.HasPrefix(body[min(end, len(body)):], []byte("u0000")) {
			return end, errors.New("a text holds the character NUL")
		}
	}
	return end, nil
}

// checkNumber refuses a number that is too long or beyond float64.
func checkNumber(number []byte) error {
	if len(number) > longest {
		return errors.New("a number is too long")
	}
	if bytes.ContainsAny(number, "eE") {
		if _, err := strconv.ParseFloat(string(number), 64); errors.Is(err, strconv.ErrRange) {
			return errors.New("a number is out of range")
		}
	}
	return nil
}
