package drf

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Def is one line of a serializer: how a field of M is answered, and how it is read into P.
// Its makers take get and in, either of which may be nil: a field without in is read-only, one without get is write-only.
// There is one maker of each for every pair of M and P, so what they need not know of M and P is not done in them:
// it would stand in the program more than a hundred times.
type Def[M, P any] struct {
	Info  *Info
	write func(dst []byte, m *M) []byte
	read  func(p *P, in input)

	key, alias []byte // the names as they are answered, each with its colon; no alias is nil
}

// input is one member of a body on its way into a patch.
type input struct {
	name string // under which it was sent
	value
	mode Mode
	errs *Errors
}

// fail adds messages to the field's errors.
func (in input) fail(messages ...string) {
	for _, message := range messages {
		in.errs.Add(in.name, message)
	}
}

// define makes a Def out of its parts: format appends what get answers, parse reads what in receives and
// says what is wrong with it. Options may overrule info.
func define[M, P, G, T any](info *Info, opts []Option, get func(*M) G, format func([]byte, G) []byte,
	in func(*P) *Field[T], parse func(*Info, value) (T, []string)) Def[M, P] {
	def := Def[M, P]{Info: declare(info, opts, get != nil, in != nil)}
	if get != nil {
		def.write = func(dst []byte, m *M) []byte { return format(dst, get(m)) }
	}
	if in != nil {
		def.read = func(p *P, member input) { in(p).receive(member, info, parse) }
	}
	return def
}

// receive takes what parse makes of a member, or what is wrong with it.
func (f *Field[T]) receive(member input, info *Info, parse func(*Info, value) (T, []string)) {
	if !begin(info, f, member) {
		return
	}
	v, wrong := parse(info, member.value)
	member.fail(wrong...)
	if len(wrong) == 0 {
		f.Value = v
	}
}

// declare settles what a field is: what its maker says of it, and then its options.
func declare(info *Info, opts []Option, written, read bool) *Info {
	info.ReadOnly, info.WriteOnly = !read, !written
	for _, opt := range opts {
		opt(info)
	}
	return info
}

// begin marks the field as sent and settles null; it reports whether there is a value to read.
func begin[T any](info *Info, field *Field[T], in input) bool {
	field.Set = true
	if !in.isNull() {
		return true
	}
	if info.Nullable {
		field.Null = true
	} else {
		in.fail(MsgNull)
	}
	return false
}

// orNull turns the writer of a value into one of a pointer; nil is null.
func orNull[T any](format func([]byte, T) []byte) func([]byte, *T) []byte {
	return func(dst []byte, v *T) []byte {
		if v == nil {
			return append(dst, "null"...)
		}
		return format(dst, *v)
	}
}

func appendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

func appendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

func appendFloat(dst []byte, v float64) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	if !bytes.ContainsRune(dst[start:], '.') {
		dst = append(dst, ".0"...)
	}
	return dst
}

func appendJSON(dst []byte, v JSON) []byte {
	if v == "" {
		return append(dst, "null"...)
	}
	return append(dst, v...)
}

// Text is a string; white space around it is trimmed unless KeepSpace.
func Text[M, P any](name string, get func(*M) string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string"}, opts, get, AppendString, in, parseText)
}

// NullText is a string or null.
func NullText[M, P any](name string, get func(*M) *string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Nullable: true}, opts, get, orNull(AppendString), in, parseText)
}

// Slug is text that matches [-a-zA-Z0-9_]+.
func Slug[M, P any](name string, get func(*M) string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "slug"}, opts, get, AppendString, in, textThat(validSlug, msgSlug))
}

// Email is an e-mail address ("" with AllowBlank).
func Email[M, P any](name string, get func(*M) string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "email"}, opts, get, AppendString, in, textThat(validEmail, msgEmail))
}

// URL is a URL as Django's validator without the domain check takes it: http, https, ftp, ftps.
func URL[M, P any](name string, get func(*M) string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "uri"}, opts, get, AppendString, in, textThat(validURL, msgURL))
}

// NullIP is an IPv4 or IPv6 address in normalised form, or null.
func NullIP[M, P any](name string, get func(*M) *string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "ip", Nullable: true}, opts, get, orNull(AppendString), in, parseIP)
}

// Choice is one of choices.
func Choice[M, P any](name string, choices *Choices, get func(*M) string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Choices: choices}, opts, get, AppendString, in, parseChoice)
}

// NullChoice is one of choices, or null; "" is refused as DRF does.
func NullChoice[M, P any](name string, choices *Choices, get func(*M) *string, in func(*P) *Field[string], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Choices: choices, Nullable: true}, opts, get, orNull(AppendString), in, parseChoice)
}

// Bool is a boolean, in all of DRF's spellings.
func Bool[M, P any](name string, get func(*M) bool, in func(*P) *Field[bool], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "boolean"}, opts, get, appendBool, in, parseBool)
}

// Int is an integer, within int64 where no Range is given.
func Int[M, P any](name string, get func(*M) int64, in func(*P) *Field[int64], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "integer"}, opts, get, appendInt, in, parseInteger)
}

// Float is a read-only number, written with a fraction always, as Python does.
func Float[M, P any](name string, get func(*M) float64, opts ...Option) Def[M, P] {
	return define[M, P](&Info{Name: name, Type: "number", Format: "double"}, opts, get, appendFloat, nil, parseInteger)
}

// Time is a moment, UTC microseconds.
func Time[M, P any](name string, get func(*M) int64, in func(*P) *Field[int64], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "date-time"}, opts, get, appendQuotedTime, in, parseMoment)
}

// NullTime is a moment or null.
func NullTime[M, P any](name string, get func(*M) *int64, in func(*P) *Field[int64], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "string", Format: "date-time", Nullable: true}, opts, get, orNull(appendQuotedTime), in, parseMoment)
}

// Any is any JSON value but null (JSONField).
func Any[M, P any](name string, get func(*M) JSON, in func(*P) *Field[JSON], opts ...Option) Def[M, P] {
	return define(&Info{Name: name}, opts, get, appendJSON, in, parseAny)
}

// Object is a JSON object (Expected a dictionary of items but got type …).
func Object[M, P any](name string, get func(*M) JSON, in func(*P) *Field[JSON], opts ...Option) Def[M, P] {
	return define(&Info{Name: name, Type: "object"}, opts, get, appendJSON, in, parseObject)
}

func appendQuotedTime(dst []byte, micros int64) []byte {
	return append(appendTime(append(dst, '"'), micros), '"')
}

// textOf is what a text field takes out of a value: strings, and numbers as Python writes them.
func textOf(v value) (string, bool) {
	switch v.kind() {
	case jsontext.KindString, jsontext.KindNumber:
		return v.str(), true
	}
	return "", false
}

// parseText is CharField.
func parseText(info *Info, v value) (string, []string) {
	text, ok := textOf(v)
	if !ok {
		return "", []string{"Not a valid string."}
	}
	return checkText(info, text)
}

// checkText trims and checks text; all that is wrong is said at once.
func checkText(info *Info, text string) (string, []string) {
	if !info.KeepSpace {
		text = trim(text)
	}
	if text == "" {
		if info.AllowBlank {
			return "", nil
		}
		return "", []string{MsgBlank}
	}
	var wrong []string
	if info.MaxLength > 0 && utf8.RuneCountInString(text) > info.MaxLength {
		wrong = append(wrong, fmt.Sprintf("Ensure this field has no more than %d characters.", info.MaxLength))
	}
	if strings.IndexByte(text, 0) >= 0 {
		wrong = append(wrong, msgNullCharacter)
	}
	if info.valid != nil && len(wrong) == 0 {
		if err := info.valid(text); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	return text, wrong
}

// textThat reads text that must be blank, where that is allowed, or valid.
func textThat(valid func(string) bool, message string) func(*Info, value) (string, []string) {
	return func(info *Info, v value) (string, []string) {
		text, wrong := parseText(info, v)
		if text != "" && !valid(text) {
			wrong = append(wrong, message)
		}
		return text, wrong
	}
}

// parseIP is IPAddressField: only strings are addresses.
func parseIP(info *Info, v value) (string, []string) {
	if v.kind() != jsontext.KindString {
		return "", []string{msgIP}
	}
	text, wrong := parseText(info, v)
	if text == "" {
		return text, wrong
	}
	ip, ok := normalIP(text)
	if !ok {
		wrong = append(wrong, msgIP)
	}
	return ip, wrong
}

// parseChoice is ChoiceField: whatever was sent is compared, and quoted, as Python's str() of it.
func parseChoice(info *Info, v value) (string, []string) {
	text := v.str()
	if text == "" && info.AllowBlank || info.Choices.Has(text) {
		return text, nil
	}
	return "", []string{`"` + text + `" is not a valid choice.`}
}

var (
	trueTexts  = []string{"t", "T", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "1"}
	falseTexts = []string{"f", "F", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", "0"}
)

// parseBool is BooleanField.
func parseBool(_ *Info, v value) (bool, []string) {
	switch v.kind() {
	case jsontext.KindTrue:
		return true, nil
	case jsontext.KindFalse:
		return false, nil
	case jsontext.KindNumber:
		if f, err := strconv.ParseFloat(string(v), 64); err == nil && (f == 0 || f == 1) {
			return f == 1, nil
		}
	case jsontext.KindString:
		text := v.text()
		if slices.Contains(trueTexts, text) {
			return true, nil
		}
		if slices.Contains(falseTexts, text) {
			return false, nil
		}
	}
	return false, []string{"Must be a valid boolean."}
}

// parseInteger is IntegerField: "1", 1.0 and "1.00" are integers.
func parseInteger(info *Info, v value) (int64, []string) {
	text := v.str()
	if v.kind() == jsontext.KindString && utf8.RuneCountInString(text) > maxIntText {
		return 0, []string{"String value too large."}
	}
	n, ok := parseInt(dropZeroFraction(text))
	if !ok {
		return 0, []string{msgInteger}
	}
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	if info.Min != nil {
		low = *info.Min
	}
	if info.Max != nil {
		high = *info.Max
	}
	if n.Cmp(big.NewInt(low)) < 0 {
		return 0, []string{fmt.Sprintf("Ensure this value is greater than or equal to %d.", low)}
	}
	if n.Cmp(big.NewInt(high)) > 0 {
		return 0, []string{fmt.Sprintf("Ensure this value is less than or equal to %d.", high)}
	}
	return n.Int64(), nil
}

// dropZeroFraction cuts a decimal point with nothing but zeros behind it.
func dropZeroFraction(text string) string {
	whole, fraction, _ := strings.Cut(text, ".")
	if strings.Trim(trim(fraction), "0") == "" {
		return whole
	}
	return text
}

// parseMoment is DateTimeField.
func parseMoment(_ *Info, v value) (int64, []string) {
	wrong := msgTime
	if v.kind() == jsontext.KindString {
		var micros int64
		if micros, wrong = parseTime(v.text()); wrong == "" {
			return micros, nil
		}
	}
	return 0, []string{wrong}
}

// parseUUID is UUIDField, of which only texts are taken.
func parseUUID(_ *Info, v value) (string, []string) {
	if v.kind() == jsontext.KindString {
		if id, ok := ParseUUID(v.text()); ok {
			return id, nil
		}
	}
	return "", []string{"Must be a valid UUID."}
}

// parseAny is JSONField.
func parseAny(_ *Info, v value) (JSON, []string) {
	stored := v.stored()
	if stored.hasNull() {
		return "", []string{msgNullCharacter}
	}
	return stored, nil
}

// parseObject is DictField.
func parseObject(info *Info, v value) (JSON, []string) {
	if v.kind() != jsontext.KindBeginObject {
		return "", []string{fmt.Sprintf(`Expected a dictionary of items but got type "%s".`, v.typeName())}
	}
	return parseAny(info, v)
}
