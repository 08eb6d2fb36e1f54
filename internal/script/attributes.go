package script

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// method is a method of Python's that Starlark lacks, or has otherwise.
type method[T starlark.Value] func(m *meter, v T, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

// bind makes a method of a value callable.
func bind[T starlark.Value](name string, v T, f method[T]) starlark.Value {
	return builtin(name, func(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return f(meterOf(thread), v, args, kwargs)
	})
}

// attribute is v.name.
func attribute(v starlark.Value, name string) (starlark.Value, error) {
	switch v := v.(type) {
	case starlark.String:
		if name == "format" {
			return bind(name, v, formatMethod), nil
		}
		if f := textMethods[name]; f != nil {
			return bind(name, v, f), nil
		}
	case *starlark.List:
		if f := listMethods[name]; f != nil {
			return bind(name, v, f), nil
		}
		if name == "sort" {
			return sortMethod(v), nil
		}
	case *starlark.Dict:
		if name == "copy" {
			return bind(name, v, copyDict), nil
		}
	}
	if has, ok := v.(starlark.HasAttrs); ok && !inBytes[name] {
		found, err := has.Attr(name)
		if err != nil {
			return nil, err
		}
		if method, ok := found.(*starlark.Builtin); ok && method.Receiver() != nil {
			return metered(method), nil
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, noAttribute(v, name)
}

// inBytes are methods of Starlark's strings that Python's have not, and that take characters apart.
var inBytes = map[string]bool{"elems": true, "elem_ords": true, "codepoints": true, "codepoint_ords": true}

// noAttribute says what there is instead of a name.
func noAttribute(v starlark.Value, name string) error {
	if d, ok := v.(*starlark.Dict); ok {
		if _, found, _ := d.Get(starlark.String(name)); found {
			return words("a dict has no .%s: its values are read with [%q]", name, name)
		}
	}
	if v == starlark.None {
		return words("None has no .%s: there is none here, so ask first, as in if x is not None", name)
	}
	return words("%s has no .%s; it has %s", article(v.Type()), name, strings.Join(attributeNames(v), ", "))
}

// attributeNames are the names that v has, in order.
func attributeNames(v starlark.Value) []string {
	var names []string
	if has, ok := v.(starlark.HasAttrs); ok {
		names = append(names, has.AttrNames()...)
	}
	switch v.(type) {
	case starlark.String:
		for name := range textMethods {
			names = append(names, name)
		}
	case *starlark.List:
		names = append(names, "sort")
		for name := range listMethods {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return []string{"nothing of the kind"}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return inBytes[name] })
}

// textMethods count in characters, where Starlark's count bytes, or are bounded.
var textMethods = map[string]method[starlark.String]{
	"find": func(_ *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return find(s, a, k, strings.Index, false)
	},
	"rfind": func(_ *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return find(s, a, k, strings.LastIndex, false)
	},
	"index": func(_ *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return find(s, a, k, strings.Index, true)
	},
	"rindex": func(_ *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return find(s, a, k, strings.LastIndex, true)
	},
	"ljust": func(m *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return justify(m, s, a, k, "<")
	},
	"rjust": func(m *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return justify(m, s, a, k, ">")
	},
	"center": func(m *meter, s starlark.String, a starlark.Tuple, k []starlark.Tuple) (starlark.Value, error) {
		return justify(m, s, a, k, "^")
	},
	"zfill": zeroFill, "replace": replace, "join": join,
	"casefold": func(_ *meter, s starlark.String, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return starlark.String(strings.ToLower(string(s))), nil
	},
	"swapcase": func(_ *meter, s starlark.String, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return starlark.String(strings.Map(swapCase, string(s))), nil
	},
	"isnumeric": isDigits, "isdecimal": isDigits,
}

func swapCase(r rune) rune {
	if unicode.IsUpper(r) {
		return unicode.ToLower(r)
	}
	return unicode.ToUpper(r)
}

func isDigits(_ *meter, s starlark.String, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	other := strings.ContainsFunc(string(s), func(r rune) bool { return !unicode.IsDigit(r) })
	return starlark.Bool(s != "" && !other), nil
}

// find is where a text stands in another, in characters, or -1.
func find(s starlark.String, args starlark.Tuple, kwargs []starlark.Tuple, search func(string, string) int, must bool) (starlark.Value, error) {
	var part string
	var low, high starlark.Value = starlark.None, starlark.None
	if err := starlark.UnpackPositionalArgs("find", args, kwargs, 1, &part, &low, &high); err != nil {
		return nil, err
	}
	n := utf8.RuneCountInString(string(s))
	first, err := clamped(low, 0, n, 0, n)
	if err != nil {
		return nil, err
	}
	last, err := clamped(high, n, n, 0, n)
	if err != nil {
		return nil, err
	}
	text := string([]rune(string(s))[min(first, last):last])
	i := search(text, part)
	if i < 0 && must {
		return nil, words("%s is not in this string: find answers -1 instead", quote(part))
	}
	if i < 0 {
		return starlark.MakeInt(-1), nil
	}
	return starlark.MakeInt(first + utf8.RuneCountInString(text[:i])), nil
}

// justify pads a text to a width.
func justify(m *meter, s starlark.String, args starlark.Tuple, kwargs []starlark.Tuple, align string) (starlark.Value, error) {
	width, fill := 0, " "
	if err := starlark.UnpackPositionalArgs("justify", args, kwargs, 1, &width, &fill); err != nil {
		return nil, err
	}
	if width > maxWidth {
		return nil, errWidth
	}
	text := spec{width: width, fill: fill}.pad("", string(s), align)
	return starlark.String(text), m.charge(len(text))
}

func zeroFill(m *meter, s starlark.String, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sign := ""
	if strings.HasPrefix(string(s), "-") || strings.HasPrefix(string(s), "+") {
		sign = string(s[:1])
	}
	width := 0
	if err := starlark.UnpackPositionalArgs("zfill", args, kwargs, 1, &width); err != nil {
		return nil, err
	}
	padded, err := justify(m, s[len(sign):], starlark.Tuple{starlark.MakeInt(width - len(sign)), starlark.String("0")}, nil, ">")
	if err != nil {
		return nil, err
	}
	return starlark.String(sign) + padded.(starlark.String), nil
}

func replace(m *meter, s starlark.String, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var from, to string
	n := -1
	if err := starlark.UnpackPositionalArgs("replace", args, kwargs, 2, &from, &to, &n); err != nil {
		return nil, err
	}
	times := strings.Count(string(s), from)
	if n >= 0 {
		times = min(times, n)
	}
	if err := m.charge(len(s)); err != nil {
		return nil, err
	}
	if err := m.chargeTimes(max(len(to)-len(from), 0), times); err != nil {
		return nil, err
	}
	return starlark.String(strings.Replace(string(s), from, to, n)), nil
}

func join(m *meter, s starlark.String, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var values starlark.Value
	if err := starlark.UnpackPositionalArgs("join", args, kwargs, 1, &values); err != nil {
		return nil, err
	}
	elements, ok := characters(values).(starlark.Iterable)
	if !ok {
		return nil, words("join takes a list of strings, not %s", article(values.Type()))
	}
	var w writer
	first := true
	for e := range starlark.Elements(elements) {
		text, ok := e.(starlark.String)
		if !ok {
			return nil, words("join takes strings, and one of these is %s: write str(x) for x in …", article(e.Type()))
		}
		if !first {
			w.write(string(s))
		}
		first = false
		w.write(string(text))
	}
	return w.result(m)
}

var listMethods = map[string]method[*starlark.List]{
	"copy": func(m *meter, l *starlark.List, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return starlark.NewList(elementsOf(l)), m.charge(size(l))
	},
	"count": func(m *meter, l *starlark.List, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return countOf(m, l, args, kwargs)
	},
	"extend": func(m *meter, l *starlark.List, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var more starlark.Iterable
		if err := starlark.UnpackPositionalArgs("extend", args, kwargs, 1, &more); err != nil {
			return nil, err
		}
		_, err := assign(m, syntax.PLUS, l, more)
		return starlark.None, err
	},
	"reverse": func(_ *meter, l *starlark.List, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		elements := elementsOf(l)
		slices.Reverse(elements)
		return starlark.None, setElements(l, elements)
	},
}

func countOf(m *meter, l *starlark.List, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var wanted starlark.Value
	if err := starlark.UnpackPositionalArgs("count", args, kwargs, 1, &wanted); err != nil {
		return nil, err
	}
	if err := m.weigh(l, wanted); err != nil {
		return nil, err
	}
	n := 0
	for e := range starlark.Elements(l) {
		equal, err := starlark.Equal(e, wanted)
		if err != nil {
			return nil, err
		}
		n += b2i(equal)
	}
	return starlark.MakeInt(n), nil
}

func elementsOf(l starlark.Iterable) []starlark.Value {
	return slices.Collect(starlark.Elements(l))
}

// setElements gives a list the elements that it has, in another order.
func setElements(l *starlark.List, elements []starlark.Value) error {
	for i, e := range elements {
		if err := l.SetIndex(i, e); err != nil {
			return err
		}
	}
	return nil
}

func copyDict(m *meter, d *starlark.Dict, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	copied := starlark.NewDict(d.Len())
	for _, item := range d.Items() {
		if err := copied.SetKey(item[0], item[1]); err != nil {
			return nil, err
		}
	}
	return copied, m.charge(size(d))
}

// sortMethod is list.sort, in place.
func sortMethod(l *starlark.List) starlark.Value {
	return builtin("sort", func(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args) > 0 {
			return nil, words("sort takes key=… and reverse=… only")
		}
		sorted, err := starlark.Call(thread, starlark.Universe["sorted"], starlark.Tuple{l}, kwargs)
		if err != nil {
			return nil, err
		}
		return starlark.None, setElements(l, elementsOf(sorted.(*starlark.List)))
	})
}
