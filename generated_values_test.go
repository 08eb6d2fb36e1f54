package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/internal/drf"
)

// generator makes requests out of a seed and of what is stored.
type generator struct {
	*rand.Rand
	keys  map[string][]string // by table: what stands in paths
	names int                 // how many were given out
}

// chance is true that often out of a hundred.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func oneOf[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// fresh is a name that nothing has yet.
func (g *generator) fresh() string {
	g.names++
	return "g" + strconv.Itoa(g.names)
}

// stored is the key of an object that exists, or did a moment ago; otherwise one that never did.
func (g *generator) stored(table string) string {
	if keys := g.keys[table]; len(keys) > 0 && !g.chance(3) {
		return keys[g.IntN(len(keys))]
	}
	if table == "app_user" {
		return "987654"
	}
	return g.uuid()
}

func (g *generator) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", g.Uint32(), g.IntN(1<<16), g.IntN(1<<12), g.IntN(1<<12), g.Int64N(1<<48))
}

// hardWords are texts that are right, and hard on whoever does not take text for what it is.
var hardWords = []string{
	"disk", "Disk full", "Straße", "ΣΊΣΥΦΟΣ", "İstanbul", "ﬁ", "日本語", "👩‍👩‍👧", "e\u0301", "\u202e\u0000x"[0:3], "\u2028", "\ufeffbom", "\ufffd", "%", "_", `\`, "100%_\\", "'; DROP TABLE event; --", `"quoted"`,
	"<script>alert(1)</script>", "a\nb", "a\tb", "${jndi}", "{{x}}", "@everyone", "null", "true", "0", "-1", "1e5", "ß", "K", "ſ", "\U0010ffff", "a,b", "a b", " padded ", "\u00a0", "..", "/", "?&#", "\x7f", "\u001f\u001b[0m",
	"login", "authentik_core", "user", "akadmin",
}

func (g *generator) word() string {
	switch {
	case g.chance(2):
		return strings.Repeat(hardWords[g.IntN(len(hardWords))], 1+g.IntN(300))
	case g.chance(50):
		return g.fresh()
	}
	return hardWords[g.IntN(len(hardWords))]
}

// text is s as JSON, at times with escapes that nobody needs.
func (g *generator) text(s string) string {
	quoted := quote(s)
	if g.chance(10) {
		var b strings.Builder
		for _, r := range s {
			if r > 0xffff {
				return quoted
			}
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		return `"` + b.String() + `"`
	}
	return quoted
}

// oddities are values that hardly any field takes, as JSON, some of which is none.
var oddities = []string{
	"null", "true", "false", "0", "-0", "1", "-1", "1.0", "1.5", "-0.0", "1e2", "1E+2", "1e400", "-1e400", "1e-400", "1e308", "9007199254740993", "9223372036854775807",
	"9223372036854775808", "-9223372036854775809", "123456789012345678901234567890123456789", strings.Repeat("9", 101), "0." + strings.Repeat("1", 99), "01", "+1", ".5", "5.", "NaN", "Infinity", "-", "0x10",
	`""`, `" "`, `"\u0000"`, `"a\u0000b"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud83d\ude00"`, `"\x41"`, `"\u00"`, "\"raw\x00\"", "\"raw\n\"", "\"raw\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\xf8\"", `'x'`, `"open`,
	"[]", "{}", "[null]", "[[]]", "[1,2,3]", `["a","a"]`, `["", null, 1, {}]`, `{"a":1}`, `{"a":1,"a":2}`, `{"":0}`, `{"\u0000":1}`, `{"detail":"x"}`, `[1,]`, `{"a"}`, `{a:1}`,
	`"1"`, `" 1 "`, `"1_000"`, `"１"`, `"true"`, `"on"`, `"null"`, `"None"`, `"2024-13-01T00:00"`, `"2024-02-30T00:00Z"`, `"9999-12-31T23:59:59.999999Z"`, `"9999-12-31T23:59:59-23:59"`, `"0001-01-01T00:00:00+23:59"`,
	`"0001-01-01T00:00Z"`, `"1969-12-31T23:59:59.999999Z"`, `"2024-02-29 12:00"`, `"0000-00-00T00:00Z"`, `"::1"`, `"::ffff:1.2.3.4"`, `"fe80::1%eth0"`, `"1.2.3.4/24"`, `"999.1.1.1"`, `"01.02.03.04"`, `"1.2.3"`,
	`"javascript:alert(1)"`, `"//evil"`, `"http://[::1"`, `"http://a b"`, `"a@b"`, `"@"`, `"custom_"`, `"custom_X"`, `"custom_ok"`, `"login\n"`, "undefined", "",
}

// odd is a value of no particular kind, as JSON.
func (g *generator) odd() string {
	switch {
	case g.chance(10):
		return strconv.Quote(g.oddUUID(g.stored(oneOf(g, "event", "rule", "user_group", "transport"))))
	case g.chance(5):
		return g.json(3)
	case g.chance(2):
		return `"` + strings.Repeat("x", 1+g.IntN(9000)) + `"`
	case g.chance(1):
		return strings.Repeat("[", 60+g.IntN(10)) + strings.Repeat("]", 60+g.IntN(10))
	}
	return oddities[g.IntN(len(oddities))]
}

// oddUUID writes a uuid in another of its forms, or spoils it.
func (g *generator) oddUUID(id string) string {
	return oneOf(g, "urn:uuid:"+id, "{"+id+"}", strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), id+"0", id+" ", " "+id, "{{"+id+"}}", "-"+id,
		strings.Replace(id, "-", "", 1), id[:len(id)-1]+"g", "urn:urn:"+id, id+"\u00a0")
}

// json is a JSON value that any field of any type takes, except that null is in it only further down.
func (g *generator) json(depth int) string {
	if depth == 0 || g.chance(30) {
		return oneOf(g, "0", "-0", "1", "1.0", "1.50", "1e308", "-1.5E-7", "9223372036854775808", "123456789012345678901234567890", "true", "false", `""`,
			`"\/"`, `"\ud83d\ude00"`, `"\\u0000"`, `"<&>"`, g.text(g.word()), g.text(g.word()))
	}
	var items []string
	object := g.chance(65)
	for i := range g.IntN(5) {
		value := g.json(depth - 1)
		if g.chance(8) {
			value = "null"
		}
		if object {
			name := oneOf(g, "pk", "username", "app", "model_name", "name", "message", "model", "geo", "api_key", "passing", "x"+strconv.Itoa(g.IntN(100)), "é", "a b", "")
			value = quote(name+strconv.Itoa(i)) + g.space() + ":" + g.space() + value
		}
		items = append(items, value)
	}
	if object {
		return "{" + strings.Join(items, ","+g.space()) + "}"
	}
	return "[" + strings.Join(items, g.space()+",") + "]"
}

func (g *generator) space() string { return oneOf(g, "", "", "", " ", "\n", "\t \r\n") }

// memo is JSON such as events carry: the parts that Belfry reads are there, with the right type mostly.
func (g *generator) memo(name string) string {
	value := func(right string) string {
		if g.chance(15) {
			return g.json(2)
		}
		return right
	}
	switch {
	case g.chance(15):
		return g.json(4)
	case name == "user":
		return `{"pk":` + value(strconv.Itoa(g.IntN(20))) + `,"email":` + value(`"a@b.example"`) + `,"username":` + value(g.text(g.word())) + "}"
	case name == "brand":
		return `{"pk":"` + g.uuid() + `","app":"authentik_brands","name":` + value(g.text(g.word())) + `,"model_name":"brand"}`
	case name == "context":
		return `{"message":` + value(g.text(g.word())) + `,"username":` + value(g.text(g.word())) +
			`,"model":` + value(`{"pk":`+value(oneOf(g, "12", `"`+g.uuid()+`"`))+`,"app":`+value(`"authentik_core"`)+`,"model_name":`+value(`"user"`)+`,"name":"x"}`) +
			`,"authorized_application":` + value(`{"pk":"`+g.uuid()[:8]+`","name":`+value(g.text(g.word()))+`}`) + "}"
	}
	return `{"a":` + g.json(3) + "}"
}

// value is a value that the field takes, as JSON, unless what it refers to or has to be unique does not fit.
func (g *generator) value(info *drf.Info) string {
	switch {
	case info.Nullable && g.chance(15):
		return "null"
	case info.Choices != nil:
		if info.Choices.Also != nil && g.chance(40) {
			return oneOf(g, `"custom_a"`, `"custom_b_2"`, `"login"`)
		}
		return quote(info.Choices.Values[g.IntN(len(info.Choices.Values))])
	case info.Type == "boolean":
		return oneOf(g, "true", "false", "true", "false", `"on"`, `"0"`, "1", "0.0")
	case info.Type == "integer":
		return g.integer(info)
	case info.Type == "array":
		return g.array(info)
	case info.Ref != nil:
		return g.object(info.Ref, 40, 95)
	case info.Type == "object", info.Type == "":
		return g.memo(info.Name)
	}
	return g.string(info)
}

func (g *generator) integer(info *drf.Info) string {
	if table := references[info.Name]; table != "" {
		return g.stored(table)
	}
	n := g.Int64N(100)
	if g.chance(10) && info.Max != nil {
		n = oneOf(g, *info.Min, *info.Max)
	}
	return oneOf(g, strconv.FormatInt(n, 10), strconv.FormatInt(n, 10), `"`+strconv.FormatInt(n, 10)+`"`, strconv.FormatInt(n, 10)+".0")
}

func (g *generator) array(info *drf.Info) string {
	item := *info.Items
	item.Name = info.Name
	var items []string
	for range g.IntN(4) {
		items = append(items, g.value(&item))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func (g *generator) string(info *drf.Info) string {
	switch info.Format {
	case "uuid":
		id := g.stored(references[info.Name])
		if g.chance(10) {
			id = g.oddUUID(id)
		}
		return quote(id)
	case "date-time":
		at := time.Unix(1_600_000_000+g.Int64N(400_000_000), g.Int64N(1e9)).UTC()
		return quote(at.Format(oneOf(g, time.RFC3339Nano, time.RFC3339, "2006-01-02 15:04", "2006-01-02T15:04:05.999999+0200")))
	case "uri":
		return oneOf(g, `""`, `"https://example.com/`+g.fresh()+`"`, `"http://localhost:9/x?a=b#c"`, `"https://user:pw@[::1]:8/"`)
	case "email":
		return oneOf(g, `""`, `"`+g.fresh()+`@example.com"`, `"a@localhost"`)
	case "ip":
		return oneOf(g, `"192.0.2.7"`, `"2001:DB8::1"`, `"::ffff:1.2.3.4"`)
	case "slug":
		return quote(g.fresh())
	}
	switch info.Name {
	case "hyperlink":
		return oneOf(g, `""`, `"/x"`, `"https://example.com/?a=b"`)
	case "expression":
		return quote("return " + oneOf(g, "True", "notification.body", "{'text': f'{event.action!r}'}", g.word()))
	case "path":
		return oneOf(g, `"users"`, `"users/`+g.fresh()+`"`)
	case "key", "password":
		return quote(strings.Repeat(g.fresh(), 12))
	case "name", "username":
		if g.chance(5) {
			return g.text(g.word())
		}
		return g.text(g.fresh() + oneOf(g, "", "", "é", " x", "%"))
	}
	return g.text(g.word())
}

// near is a value that the field just does not take, as JSON: of its type, and yet wrong.
func (g *generator) near(info *drf.Info) string {
	switch {
	case info.Type == "integer" && info.Max != nil:
		return oneOf(g, strconv.FormatInt(*info.Max+1, 10), strconv.FormatInt(*info.Min-1, 10), "9223372036854775808", "1.5", `"x"`)
	case info.Type == "integer":
		return oneOf(g, "9223372036854775807", "9223372036854775808", "-1", "0", "1.5", `"1"`, "987654")
	case info.Choices != nil:
		return oneOf(g, `"zzz"`, `""`, quote(strings.ToUpper(info.Choices.Values[0])), quote(info.Choices.Values[0]+" "), `"custom_\u0000"`, "1")
	case info.Type == "array":
		return oneOf(g, "[null]", "{}", `["`+g.uuid()+`"]`, "[987654]", `["\u0000"]`, "[[]]", `[true]`, `[1.5]`)
	case info.Format == "uuid":
		return oneOf(g, quote(g.uuid()), quote(g.oddUUID(g.stored(references[info.Name]))), "5", "1e3", `"\u0000"`)
	case info.Type == "string":
		longer := strings.Repeat("é", info.MaxLength+1)
		return oneOf(g, `"a\u0000b"`, `"a\u0000b"`, `"\u0000"`, quote(longer), `" \t\u001c"`, `"\ud800"`, "\"\xff\"", "5", `"https://a\u0000b/"`, `"a\u0000@b.example"`)
	}
	return oneOf(g, "null", `"\u0000"`, `{"a":"\u0000"}`, `{"\u0000":1}`, `{"a":1,"\u0061":2}`, "[]", `{"a":"\udfff"}`, "1e400", strings.Repeat("[", 64)+strings.Repeat("]", 64))
}

// object is a body of the shape. optional is how often a field that is not required is there, required how often
// one that is; half of the objects are right in all that the table of fields says, and a quarter but for one field.
func (g *generator) object(sh *drf.Shape, optional, required int) string {
	right, spoilt := g.chance(75), -1
	if g.chance(25) {
		spoilt = g.IntN(len(sh.Fields))
	}
	var members []string
	subject := ""
	if sh.Name == "PolicyBinding" && right { // which wants one of them
		subject = oneOf(g, "policy", "group", "user")
	}
	for i := range sh.Fields {
		info := &sh.Fields[i]
		often := optional
		switch {
		case subject != "" && slices.Contains([]string{"policy", "group", "user"}, info.Name):
			often = 0
			if info.Name == subject {
				often = required
			}
		case info.ReadOnly:
			often = 3
		case info.Required && right:
			often = max(required, 50)
		case info.Required:
			often = required
		}
		if i == spoilt && !info.ReadOnly {
			often = 100
		}
		if !g.chance(often) {
			continue
		}
		name, value := info.Name, g.value(info)
		if i == spoilt {
			value = g.near(info)
		} else if !right && g.chance(12) {
			value = g.odd()
		}
		if info.Alias != "" && g.chance(40) {
			name = info.Alias
		}
		members = append(members, quote(name)+g.space()+":"+g.space()+value)
		if info.Alias != "" && g.chance(10) && name == info.Name {
			members = append(members, quote(info.Alias)+":"+g.value(info))
		}
	}
	if g.chance(10) {
		members = append(members, quote("unknown"+g.fresh())+":"+g.json(2))
	}
	if !right && len(members) > 0 && g.chance(5) {
		members = append(members, members[g.IntN(len(members))])
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + g.space() + strings.Join(members, ","+g.space()) + "}"
}

// body is a body for a shape, or something else altogether; "" for none.
func (g *generator) body(sh *drf.Shape, method string) string {
	if sh == nil {
		return oneOf(g, "", "", "{}", "null", `{"a":1}`, "x")
	}
	required := 97
	if method == "PATCH" {
		required = 25
	}
	text := g.object(sh, 40, required)
	if g.chance(85) {
		return text
	}
	switch g.IntN(11) {
	case 0:
		return ""
	case 1:
		return g.odd()
	case 2:
		return text[:g.IntN(len(text))]
	case 3:
		return text + oneOf(g, "x", "{}", ",", "\x00", "]", " \n", "//c")
	case 4:
		return oneOf(g, " ", "\ufeff", "\xff\xfe", "/*c*/") + text
	case 5: // a byte of it is another one
		at := g.IntN(len(text))
		return text[:at] + string([]byte{byte(g.IntN(256))}) + text[at+1:]
	case 6: // nested around the bound, and far beyond
		depth := oneOf(g, 60, 61, 62, 63, 64, 65, 66, 5000, 100_000)
		return `{"action":"login","app":"deep","name":"` + g.fresh() + `","context":` + strings.Repeat(oneOf(g, `[`, `{"a":`), depth) + "1"
	case 7:
		depth := oneOf(g, 61, 62, 63, 64, 65)
		return `{"action":"login","app":"deep","name":"` + g.fresh() + `","attributes":` + strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth) +
			`,"context":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
	case 8: // large, and too large
		size := oneOf(g, 5_000, 20_000, 60_000, 60_000, 1<<20)
		return `{"action":"login","app":"large","name":"` + g.fresh() + `","attributes":{"a":"` + strings.Repeat("x", size) + `"},"context":{"message":"` + strings.Repeat("é", size/2) + `"}}`
	case 9:
		n := oneOf(g, 100, 1001, 5_000)
		return `{"action":"login","app":"many","name":"` + g.fresh() + `","context":[` + strings.Repeat("0,", n) + `0],"users":[` + strings.Repeat("1,", n) + `1],"transports":[` +
			strings.Repeat(`"`+g.stored("transport")+`",`, n) + `null],"scopes":[` + strings.Repeat(`"read",`, n) + `"x"]}`
	}
	return oneOf(g, "null", "[]", "true", "1", `"x"`, "{}", "{", "}", `{"":1}`)
}
