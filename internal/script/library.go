package script

import (
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// plain are Starlark's own functions that expressions have.
var plain = []string{"abs", "bool", "chr", "dict", "float", "max", "min", "ord", "type"}

// walking are those that walk their arguments, which may be strings in Python.
var walking = []string{"all", "any", "enumerate", "list", "reversed", "set", "sorted", "tuple", "zip"}

func overCharacters(f *starlark.Builtin) *starlark.Builtin {
	return builtin(f.Name(), func(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		walked := make(starlark.Tuple, len(args))
		for i, arg := range args {
			walked[i] = characters(arg)
		}
		return f.CallInternal(thread, walked, kwargs)
	})
}

// library are the functions that expressions have, whatever they run on.
var library = makeLibrary()

func makeLibrary() starlark.StringDict {
	all := starlark.StringDict{
		"None": starlark.None, "True": starlark.True, "False": starlark.False,
		"ak_logger": logger(),
	}
	for _, name := range plain {
		all[name] = metered(starlark.Universe[name].(*starlark.Builtin))
	}
	for _, name := range walking {
		all[name] = overCharacters(metered(starlark.Universe[name].(*starlark.Builtin)))
	}
	for name, f := range map[string]function{
		"len": length, "int": integer, "str": str, "repr": repr, "range": rangeOf, "print": nothing, "getattr": getattr, "hasattr": hasattr,
		"isinstance": isinstance, "sum": sum, "round": round, "map": mapOver, "filter": filterBy, "format": format,
		"regex_match": regexMatch, "regex_replace": regexReplace, "list_flatten": listFlatten, "slugify": slugify,
		"ip_address": ipAddress, "ip_network": ipNetwork, "ak_message": akMessage, "ak_is_group_member": akIsGroupMember,
	} {
		all[name] = builtin(name, f)
	}
	return all
}

// given are the names that each run gives its own values.
var given = []string{"context", "event", "notification", "request", "user"}

// isKnown reports whether a name means something to expressions without being assigned.
func isKnown(name string) bool {
	return library[name] != nil || guards[name] != nil || slices.Contains(given, name)
}

// known are the names that expressions have, in order.
func known() []string {
	names := slices.Clone(given)
	for name := range library {
		if name[0] >= 'a' {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

const lookups404 = "an expression sees what it is given, and cannot look anything else up"

// absent are names that authentik has, and why they are not here.
var absent = map[string]string{
	"ak_user_by":                lookups404 + ": user is the recipient, event.user who caused the event",
	"ak_user_has_authenticator": lookups404,
	"ak_call_policy":            lookups404 + ": bind that policy to the rule as well",
	"ak_create_event":           "an expression cannot make events: ak_message says something about a policy",
	"ak_create_jwt":             "an expression cannot make tokens",
	"ak_send_email":             "an expression cannot send anything: use a transport of the mode email",
	"ak_client_ip":              "no HTTP request is there: event.client_ip is the address",
	"requests":                  "an expression cannot call anybody: a webhook transport sends what its mapping returns",
	"http_request":              "no HTTP request is there: event.client_ip is the address",
	"resolve_dns":               "an expression cannot ask the network",
	"reverse_dns":               "an expression cannot ask the network",
	"geoip":                     "addresses are not looked up: event.context may hold a place",
	"User":                      lookups404, "Group": lookups404, "Event": lookups404,
	"re":       modules["re"],
	"json":     modules["json"],
	"datetime": modules["datetime"],
	"open":     "there are no files", "eval": "expressions do not make expressions", "exec": "expressions do not make expressions",
	"bytes": "write a string", "hash": "there is no hash", "dir": "attributes are listed in docs/expressions.md", "fail": "return False",
	"pow": "multiply instead", "divmod": "write a // b and a % b", "iter": "write a for loop", "next": "write a for loop",
	"super": "there are no classes", "object": "there are no classes", "Exception": "there are no exceptions",
}

// logger accepts what authentik's does, and writes nothing: an expression's log would be text of events in ours.
func logger() starlark.Value {
	o := newObject("ak_logger", "ak_logger")
	for _, level := range []string{"debug", "info", "warning", "warn", "error", "exception", "critical"} {
		o.set(level, builtin(level, nothing))
	}
	return o
}

func nothing(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
	return starlark.None, nil
}

func length(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs("len", args, kwargs, 1, &v); err != nil {
		return nil, err
	}
	if text, ok := v.(starlark.String); ok {
		return starlark.MakeInt(utf8.RuneCountInString(string(text))), nil
	}
	n := starlark.Len(v)
	if n < 0 {
		return nil, words("%s has no length", article(v.Type()))
	}
	return starlark.MakeInt(n), nil
}

// integer is int, for texts that Python would read too: the time that it takes grows faster than they do.
func integer(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) > 0 && starlark.Len(args[0]) > maxDigits {
		return nil, words("a text that becomes an int may have 4,300 digits")
	}
	v, err := starlark.Call(thread, starlark.Universe["int"], args, kwargs)
	if err != nil {
		return nil, err
	}
	return v, nil
}

const maxDigits = 4300

func str(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value = starlark.String("")
	if err := starlark.UnpackPositionalArgs("str", args, kwargs, 0, &v); err != nil {
		return nil, err
	}
	text, err := display(meterOf(thread), v, false)
	return starlark.String(text), err
}

func repr(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs("repr", args, kwargs, 1, &v); err != nil {
		return nil, err
	}
	text, err := display(meterOf(thread), v, true)
	return starlark.String(text), err
}

func format(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	var spec string
	if err := starlark.UnpackPositionalArgs("format", args, kwargs, 1, &v, &spec); err != nil {
		return nil, err
	}
	text, err := formatValue(meterOf(thread), v, spec)
	return starlark.String(text), err
}

// rangeOf is a range of bounded length, because many functions walk one in a single step.
func rangeOf(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	r, err := starlark.Call(thread, starlark.Universe["range"], args, kwargs)
	if err != nil {
		return nil, err
	}
	if starlark.Len(r) > maxParts {
		return nil, words("a range may have 100,000 numbers")
	}
	return r, nil
}

func getattr(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v, otherwise starlark.Value
	var name string
	if err := starlark.UnpackPositionalArgs("getattr", args, kwargs, 2, &v, &name, &otherwise); err != nil {
		return nil, err
	}
	found, err := attribute(v, name)
	if err != nil && otherwise != nil {
		return otherwise, nil
	}
	return found, err
}

func hasattr(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	var name string
	if err := starlark.UnpackPositionalArgs("hasattr", args, kwargs, 2, &v, &name); err != nil {
		return nil, err
	}
	_, err := attribute(v, name)
	return starlark.Bool(err == nil), nil
}

// kinds are what isinstance can be asked for, and what Starlark calls them.
var kinds = map[string][]string{"str": {"string"}, "int": {"int", "bool"}, "float": {"float"}, "bool": {"bool"}, "dict": {"dict"},
	"list": {"list"}, "tuple": {"tuple"}, "set": {"set"}}

func isinstance(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v, wanted starlark.Value
	if err := starlark.UnpackPositionalArgs("isinstance", args, kwargs, 2, &v, &wanted); err != nil {
		return nil, err
	}
	choices, ok := wanted.(starlark.Tuple)
	if !ok {
		choices = starlark.Tuple{wanted}
	}
	for _, choice := range choices {
		f, ok := choice.(*starlark.Builtin)
		if !ok || kinds[f.Name()] == nil {
			return nil, words("isinstance knows str, int, float, bool, dict, list, tuple and set")
		}
		if slices.Contains(kinds[f.Name()], v.Type()) {
			return starlark.True, nil
		}
	}
	return starlark.False, nil
}

func sum(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var values starlark.Iterable
	var total starlark.Value = starlark.MakeInt(0)
	if err := starlark.UnpackArgs("sum", args, kwargs, "iterable", &values, "start?", &total); err != nil {
		return nil, err
	}
	for v := range starlark.Elements(values) {
		var err error
		if b, ok := v.(starlark.Bool); ok {
			v = starlark.MakeInt(b2i(bool(b)))
		}
		if total, err = binary(meterOf(thread), syntax.PLUS, total, v); err != nil {
			return nil, err
		}
	}
	return total, nil
}

// round rounds halves to even, as Python does.
func round(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v, places starlark.Value
	if err := starlark.UnpackPositionalArgs("round", args, kwargs, 1, &v, &places); err != nil {
		return nil, err
	}
	if n, ok := v.(starlark.Int); ok {
		return n, nil
	}
	f, ok := v.(starlark.Float)
	if !ok {
		return nil, words("round takes a number, not %s", article(v.Type()))
	}
	if places == nil || places == starlark.None {
		return starlark.NumberToInt(starlark.Float(math.RoundToEven(float64(f))))
	}
	n, err := starlark.AsInt32(places)
	if err != nil || n < 0 || n > 15 {
		return nil, words("round takes 0 to 15 places")
	}
	return starlark.Float(roundPlaces(float64(f), n)), nil
}

func mapOver(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var f starlark.Callable
	var values starlark.Iterable
	if err := starlark.UnpackPositionalArgs("map", args, kwargs, 2, &f, &values); err != nil {
		return nil, err
	}
	var results []starlark.Value
	for v := range starlark.Elements(values) {
		result, err := starlark.Call(thread, f, starlark.Tuple{v}, nil)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return starlark.NewList(results), meterOf(thread).charge(slot * len(results))
}

func filterBy(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var f starlark.Value
	var values starlark.Iterable
	if err := starlark.UnpackPositionalArgs("filter", args, kwargs, 2, &f, &values); err != nil {
		return nil, err
	}
	var kept []starlark.Value
	for v := range starlark.Elements(values) {
		passing := v
		if f != starlark.None {
			var err error
			if passing, err = starlark.Call(thread, f, starlark.Tuple{v}, nil); err != nil {
				return nil, err
			}
		}
		if passing.Truth() {
			kept = append(kept, v)
		}
	}
	return starlark.NewList(kept), meterOf(thread).charge(slot * len(kept))
}

// slugify makes a text fit for an address, as Django does.
func slugify(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var text string
	if err := starlark.UnpackPositionalArgs("slugify", args, kwargs, 1, &text); err != nil {
		return nil, err
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf && (isNamePart(r) || r == '-'), unicode.IsSpace(r):
			return unicode.ToLower(r)
		}
		return -1
	}, text)
	return starlark.String(strings.Trim(dashes.ReplaceAllString(text, "-"), "-_")), nil
}

var dashes = regexp.MustCompile(`[-\s]+`)

func ipAddress(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	text, err := addressText("ip_address", args, kwargs)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return nil, words("%s is no IP address", quote(text))
	}
	return address{netip.PrefixFrom(ip, ip.BitLen())}, nil
}

func ipNetwork(_ *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	text, err := addressText("ip_network", args, kwargs)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return address{netip.PrefixFrom(ip, ip.BitLen())}, nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return nil, words("%s is no network: write one such as 10.0.0.0/8", quote(text))
	}
	return address{network.Masked()}, nil
}

// addressText takes what is an address already too.
func addressText(name string, args starlark.Tuple, kwargs []starlark.Tuple) (string, error) {
	var v starlark.Value
	if err := starlark.UnpackPositionalArgs(name, args, kwargs, 1, &v); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case starlark.String:
		return string(v), nil
	case address:
		return v.String(), nil
	}
	return "", words("%s takes a string, not %s", name, article(v.Type()))
}
