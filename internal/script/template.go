package script

import (
	"regexp"
	"strings"

	"go.starlark.net/starlark"
)

// joinText is what an f-string becomes: its pieces, which are text already, in a row.
func joinText(m *meter, pieces starlark.Tuple) (starlark.Value, error) {
	var w writer
	for _, p := range pieces {
		w.write(string(p.(starlark.String)))
	}
	return w.result(m)
}

// result is what was written, unless it is too long.
func (w *writer) result(m *meter) (starlark.Value, error) {
	if w.over {
		return nil, errLarge
	}
	return starlark.String(w.String()), m.charge(w.Len())
}

// fieldText is a field of an f-string as text: its value, conversion and format.
func fieldText(m *meter, args starlark.Tuple) (starlark.Value, error) {
	conversion, format := args[1].(starlark.String), args[2].(starlark.String)
	text, err := convert(m, args[0], string(conversion), string(format))
	return starlark.String(text), err
}

// convert formats a value after !r or !s.
func convert(m *meter, v starlark.Value, conversion, format string) (string, error) {
	if conversion != "" {
		text, err := display(m, v, conversion != "s")
		if err != nil {
			return "", err
		}
		v = starlark.String(text)
	}
	return formatValue(m, v, format)
}

// formatMethod is "…".format(…).
func formatMethod(m *meter, s starlark.String, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var w writer
	template := string(s)
	next := 0
	for len(template) > 0 {
		i := strings.IndexAny(template, "{}")
		if i < 0 {
			break
		}
		w.write(template[:i])
		if template = template[i:]; len(template) > 1 && template[1] == template[0] {
			w.write(template[:1])
			template = template[2:]
			continue
		}
		end := strings.IndexByte(template, '}')
		if template[0] == '}' || end < 0 || strings.Contains(template[1:end], "{") {
			return nil, words("a brace in this format has no partner: write {{ or }} for the character")
		}
		text, err := formatField(m, template[1:end], args, kwargs, &next)
		if err != nil {
			return nil, err
		}
		w.write(text)
		template = template[end+1:]
	}
	w.write(template)
	return w.result(m)
}

// formatField formats what a field such as name.part!r:>10 asks for; next counts those without a name.
func formatField(m *meter, field string, args starlark.Tuple, kwargs []starlark.Tuple, next *int) (string, error) {
	field, format, _ := strings.Cut(field, ":")
	path, conversion, _ := strings.Cut(field, "!")
	name, rest := path, ""
	if i := strings.IndexAny(path, ".["); i >= 0 {
		name, rest = path[:i], path[i:]
	}
	v, err := formatArgument(name, args, kwargs, next)
	if err != nil {
		return "", err
	}
	if v, err = follow(v, rest); err != nil {
		return "", err
	}
	return convert(m, v, conversion, format)
}

func formatArgument(name string, args starlark.Tuple, kwargs []starlark.Tuple, next *int) (starlark.Value, error) {
	if name == "" {
		*next++
		return index(args, starlark.MakeInt(*next-1))
	}
	if n, ok := decimal(name); ok {
		return index(args, starlark.MakeInt(n))
	}
	for _, kwarg := range kwargs {
		if kwarg[0] == starlark.String(name) {
			return kwarg[1], nil
		}
	}
	return nil, words("this format asks for %s, which it is not given", quote(name))
}

func decimal(text string) (int, bool) {
	n := 0
	for _, r := range text {
		if !isDigit(r) || n > maxValue {
			return 0, false
		}
		n = n*10 + int(r-'0')
	}
	return n, text != ""
}

// follow goes from a value along .name and [key].
func follow(v starlark.Value, path string) (starlark.Value, error) {
	for path != "" {
		end := strings.IndexAny(path[1:], ".[") + 1
		if end == 0 {
			end = len(path)
		}
		step := path[:end]
		path = path[end:]
		var err error
		if step[0] == '.' {
			v, err = attribute(v, step[1:])
		} else if n, ok := decimal(strings.TrimSuffix(step[1:], "]")); ok {
			v, err = index(v, starlark.MakeInt(n))
		} else {
			v, err = index(v, starlark.String(strings.TrimSuffix(step[1:], "]")))
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

var percentPattern = regexp.MustCompile(`^%(\([^)]*\))?([-+ #0]*)(\d*)(\.\d+)?([srdiufFeEgGxXoc%])`)

// percent is format % values.
func percent(m *meter, format string, values starlark.Value) (starlark.Value, error) {
	var w writer
	args, ok := values.(starlark.Tuple)
	if !ok {
		args = starlark.Tuple{values}
	}
	used := 0
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			break
		}
		w.write(format[:i])
		match := percentPattern.FindStringSubmatch(format[i:])
		if match == nil {
			return nil, words("after %% in this format comes one of s r d i f e g x o c, or %% for the character")
		}
		format = format[i+len(match[0]):]
		if match[5] == "%" {
			w.write("%")
			continue
		}
		v, err := percentArgument(match[1], values, args, &used)
		if err != nil {
			return nil, err
		}
		text, err := percentText(m, match, v)
		if err != nil {
			return nil, err
		}
		w.write(text)
	}
	if _, named := values.(*starlark.Dict); !named && used < len(args) {
		return nil, words("this format takes %d values and is given %d", used, len(args))
	}
	w.write(format)
	return w.result(m)
}

func percentArgument(name string, values starlark.Value, args starlark.Tuple, used *int) (starlark.Value, error) {
	if name != "" {
		return index(values, starlark.String(name[1:len(name)-1]))
	}
	if *used == len(args) {
		return nil, words("this format takes more values than the %d that it is given", len(args))
	}
	*used++
	return args[*used-1], nil
}

// percentText formats a value by the parts of a match of percentPattern.
func percentText(m *meter, match []string, v starlark.Value) (string, error) {
	flags, width, precision, verb := match[2], match[3], match[4], match[5]
	align := ">"
	switch {
	case strings.Contains(flags, "-"):
		align = "<"
	case strings.Contains(flags, "0") && verb != "s" && verb != "r":
		align = "0="
	}
	sign := ""
	if strings.Contains(flags, "+") {
		sign = "+"
	}
	if verb == "s" || verb == "r" {
		text, err := display(m, v, verb == "r")
		if err != nil {
			return "", err
		}
		return formatValue(m, starlark.String(text), align+width+precision)
	}
	if strings.Contains("diu", verb) {
		if f, ok := v.(starlark.Float); ok {
			n, err := starlark.NumberToInt(f)
			if err != nil {
				return "", err
			}
			v = n
		}
		verb, precision = "d", ""
	}
	if _, number := starlark.AsFloat(v); !number && v.Type() != "bool" {
		return "", words("%%%s takes a number, and this is %s", verb, article(v.Type()))
	}
	return formatValue(m, v, align+sign+width+precision+verb)
}
