package script

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// maxWidth is how wide a field of formatted text may be.
const maxWidth = 10_000

// writer makes text no longer than one value may be.
type writer struct {
	strings.Builder
	over bool
}

func (w *writer) write(text string) {
	if w.over = w.over || w.Len()+len(text) > maxValue; !w.over {
		w.WriteString(text)
	}
}

// display is str(v), or repr(v), as Python writes it.
func display(m *meter, v starlark.Value, quoted bool) (string, error) {
	if text, ok := v.(starlark.String); ok && !quoted {
		return string(text), nil
	}
	var w writer
	w.value(v, 0)
	if w.over {
		return "", words("the text of this %s would be longer than 1 MiB", v.Type())
	}
	return w.String(), m.charge(w.Len())
}

func (w *writer) value(v starlark.Value, depth int) {
	if w.over = w.over || depth > maxNesting; w.over {
		return
	}
	switch v := v.(type) {
	case starlark.String:
		w.write(quote(string(v)))
	case starlark.Float:
		w.write(floatText(float64(v)))
	case *starlark.List:
		w.elements("[", v, "]", depth)
	case *starlark.Set:
		if v.Len() == 0 {
			w.write("set()")
			return
		}
		w.elements("{", v, "}", depth)
	case starlark.Tuple:
		end := ")"
		if len(v) == 1 {
			end = ",)"
		}
		w.elements("(", v, end, depth)
	case *starlark.Dict:
		w.dict(v, depth)
	default:
		w.write(v.String())
	}
}

func (w *writer) elements(begin string, values starlark.Iterable, end string, depth int) {
	w.write(begin)
	first := true
	for e := range starlark.Elements(values) {
		if !first {
			w.write(", ")
		}
		if first = false; w.over {
			return
		}
		w.value(e, depth+1)
	}
	w.write(end)
}

func (w *writer) dict(d *starlark.Dict, depth int) {
	w.write("{")
	for i, item := range d.Items() {
		if i > 0 {
			w.write(", ")
		}
		if w.over {
			return
		}
		w.value(item[0], depth+1)
		w.write(": ")
		w.value(item[1], depth+1)
	}
	w.write("}")
}

// quote is a string as Python's repr writes it.
func quote(text string) string {
	q := '\''
	if strings.ContainsRune(text, '\'') && !strings.ContainsRune(text, '"') {
		q = '"'
	}
	var out strings.Builder
	out.WriteRune(q)
	for _, r := range text {
		switch {
		case r == q || r == '\\':
			out.WriteString(`\` + string(r))
		case r == '\n' || r == '\r' || r == '\t' || !strconv.IsPrint(r):
			escaped := strconv.QuoteRune(r)
			out.WriteString(escaped[1 : len(escaped)-1])
		default:
			out.WriteRune(r)
		}
	}
	out.WriteRune(q)
	return out.String()
}

// floatText is a float as Python writes it: the shortest that reads back the same.
func floatText(f float64) string {
	switch {
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', -1, 64)), "+")
	case math.IsNaN(f):
		return "nan"
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// spec is a format such as >10,.2f.
type spec struct {
	fill, align, sign string
	alternate, zero   bool
	width             int
	group             string
	precision         int // -1: none
	verb              string
}

var specPattern = regexp.MustCompile(`^(?:((?s:.))?([<>=^]))?([-+ ])?(#)?(0)?(\d*)([,_])?(?:\.(\d+))?([a-zA-Z%])?$`)

func parseSpec(text string) (spec, error) {
	match := specPattern.FindStringSubmatch(text)
	if match == nil {
		return spec{}, words("%s is no format: write one such as >10 or .2f", quote(text))
	}
	s := spec{fill: match[1], align: match[2], sign: match[3], alternate: match[4] != "", zero: match[5] != "",
		group: match[7], precision: -1, verb: match[9]}
	s.width, _ = strconv.Atoi(match[6])
	if match[8] != "" {
		s.precision, _ = strconv.Atoi(match[8])
	}
	if s.width > maxWidth || s.precision > maxWidth || len(match[6]) > 6 || len(match[8]) > 6 {
		return s, errWidth
	}
	return s, nil
}

// formatValue is format(v, text) as Python has it, for texts and numbers.
func formatValue(m *meter, v starlark.Value, text string) (string, error) {
	if text == "" {
		return display(m, v, false)
	}
	if d, ok := v.(datetime); ok {
		return d.strftime(text)
	}
	s, err := parseSpec(text)
	if err != nil {
		return "", err
	}
	if b, ok := v.(starlark.Bool); ok {
		v = starlark.MakeInt(b2i(bool(b)))
	}
	switch v := v.(type) {
	case starlark.Int:
		if !strings.Contains("eEfFgG%", s.verb) || s.verb == "" {
			return s.integer(v)
		}
		return s.float(float64(v.Float()))
	case starlark.Float:
		return s.float(float64(v))
	}
	if s.verb != "" && s.verb != "s" || s.sign != "" || s.group != "" || s.align == "=" {
		return "", words("the format %s is for numbers, and this is %s", quote(text), article(v.Type()))
	}
	shown, err := display(m, v, false)
	if runes := []rune(shown); err == nil && s.precision >= 0 && s.precision < len(runes) {
		shown = string(runes[:s.precision])
	}
	if s.zero && s.fill == "" {
		s.fill = "0"
	}
	return s.pad("", shown, "<"), err
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// integer formats a whole number.
func (s spec) integer(v starlark.Int) (string, error) {
	base, prefix := 10, ""
	switch s.verb {
	case "", "d", "n":
	case "b":
		base, prefix = 2, "0b"
	case "o":
		base, prefix = 8, "0o"
	case "x", "X":
		base, prefix = 16, "0"+s.verb
	case "c":
		n, err := starlark.AsInt32(v)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return "", words("%s is no character", v)
		}
		return s.pad("", string(rune(n)), "<"), nil
	default:
		return "", words("the format %s does not fit an int", s.verb)
	}
	if s.precision >= 0 {
		return "", words("a precision does not fit an int: write .2f for places after the point")
	}
	if !s.alternate {
		prefix = ""
	}
	digits := new(big.Int).Abs(v.BigInt()).Text(base)
	if s.verb == "X" {
		digits = strings.ToUpper(digits)
	}
	return s.number(v.Sign() < 0, prefix, digits), nil
}

// float formats a number with places after its point.
func (s spec) float(f float64) (string, error) {
	precision := s.precision
	if precision < 0 {
		precision = 6
	}
	var digits string
	size := math.Abs(f)
	switch verb := strings.ToLower(s.verb); verb {
	case "":
		if digits = floatText(size); s.precision >= 0 {
			digits = strconv.FormatFloat(size, 'g', max(precision, 1), 64)
		}
	case "f", "e":
		digits = strconv.FormatFloat(size, verb[0], precision, 64)
	case "g":
		digits = general(size, max(precision, 1))
	case "%":
		digits = strconv.FormatFloat(size*100, 'f', precision, 64) + "%"
	default:
		return "", words("the format %s does not fit a float", s.verb)
	}
	digits = strings.ToLower(strings.TrimPrefix(digits, "+"))
	if s.verb == "E" || s.verb == "G" || s.verb == "F" {
		digits = strings.ToUpper(digits)
	}
	return s.number(math.Signbit(f) && !math.IsNaN(f), "", digits), nil
}

// roundPlaces rounds to places after the point; halves as the number is stored, like Python.
func roundPlaces(f float64, places int) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', places, 64), 64)
	if err != nil {
		return f
	}
	return rounded
}

// general chooses between 12.5 and 1.25e+20, as %g does.
func general(size float64, precision int) string {
	if exponent := math.Floor(math.Log10(size)); size == 0 || exponent >= -4 && exponent < float64(precision) {
		text := strconv.FormatFloat(size, 'f', max(precision-1-int(max(exponent, -4)), 0), 64)
		if strings.Contains(text, ".") {
			text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
		}
		return text
	}
	return strconv.FormatFloat(size, 'g', precision, 64)
}

// number puts sign, groups and padding around digits.
func (s spec) number(negative bool, prefix, digits string) string {
	if s.group != "" {
		digits = grouped(digits, s.group)
	}
	switch {
	case negative:
		prefix = "-" + prefix
	case s.sign == "+" || s.sign == " ":
		prefix = s.sign + prefix
	}
	if s.zero && s.align == "" {
		s.fill, s.align = "0", "="
	}
	return s.pad(prefix, digits, ">")
}

// grouped puts a separator between thousands.
func grouped(digits, separator string) string {
	whole, rest := digits, ""
	if i := strings.IndexAny(digits, ".e%"); i >= 0 {
		whole, rest = digits[:i], digits[i:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + separator + whole[i:]
	}
	return whole + rest
}

// pad makes text as wide as is asked for.
func (s spec) pad(prefix, text, align string) string {
	if s.align != "" {
		align = s.align
	}
	if s.fill == "" {
		s.fill = " "
	}
	missing := max(s.width-utf8.RuneCountInString(prefix+text), 0)
	switch align {
	case "<":
		return prefix + text + strings.Repeat(s.fill, missing)
	case "^":
		return strings.Repeat(s.fill, missing/2) + prefix + text + strings.Repeat(s.fill, missing-missing/2)
	case "=":
		return prefix + strings.Repeat(s.fill, missing) + text
	}
	return strings.Repeat(s.fill, missing) + prefix + text
}
