package script

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// loginFailed is what the expressions below run on: alice is told that bob failed to log in.
func loginFailed() Input {
	return Input{
		Event: &Event{
			PK: "0190a5d2-7c1e-7b3a-9f00-0242ac120002", Action: "login_failed", App: "authentik.events.signals", ClientIP: "10.20.30.40",
			Summary: "bob failed to log in from 10.20.30.40", Created: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC),
			Expires: time.Date(2027, 3, 4, 5, 6, 7, 0, time.UTC),
			User:    json.RawMessage(`{"pk":7,"username":"bob","email":"bob@example.com"}`),
			Context: json.RawMessage(`{"username":"bob","password":"********","attempts":5,"rate":0.375,"message":"Käse \"x\" <b>",` +
				`"http_request":{"path":"/if/flow/","method":"POST"},"geo":{"country":"DE","city":"Köln"},"tags":["a","b"],"none":null,"ok":true}`),
			Brand: json.RawMessage(`{"pk":"1","name":"Brand fallback"}`),
		},
		Notification: &Notification{Severity: "warning", Body: "bob failed to log in"},
		User: &User{PK: 3, Username: "alice", Name: "Alice Doe", Email: "alice@example.com", IsActive: true, IsSuperuser: true,
			Attributes:      json.RawMessage(`{"settings":{"locale":"de"},"chat":"alice-chat"}`),
			GroupAttributes: json.RawMessage(`{"settings":{"locale":"en","theme":"dark"},"team":"ops"}`),
			Groups:          []string{"authentik Admins", "On-Call"}},
	}
}

// These are written as authentik's documentation and its users write them; nothing of them is changed for Belfry.
var expressions = []struct {
	name, source string
	json         string   // what it returns
	body         string   // notification.body afterwards, where it changes
	messages     []string // what it says by ak_message
}{
	{name: "the shortest mapping", source: `return {"text": notification.body}`, json: `{"text":"bob failed to log in"}`},
	{name: "an f-string with attributes", source: `return {"content": f"[{notification.severity.upper()}] {notification.body} (for {user.username})"}`,
		json: `{"content":"[WARNING] bob failed to log in (for alice)"}`},
	{name: "the recipient as it is", source: `return request.user`, json: `{"pk":3,"username":"alice","email":"alice@example.com"}`},
	{name: "the event's context", source: "event = notification.event\nreturn {'who': event.user['username'], 'ip': event.client_ip, 'path': event.context['http_request']['path']}",
		json: `{"who":"bob","ip":"10.20.30.40","path":"/if/flow/"}`},
	{name: "a question before use", json: `"Köln, DE"`, source: `
geo = notification.event.context.get("geo", {})
if geo is not None and "city" in geo:
    return f"{geo['city']}, {geo.get('country', '?')}"
return "unknown"`},
	{name: "a body that is changed", source: "notification.body = \"foo\"", json: `null`, body: "foo"},
	{name: "a body that grows", source: "notification.body += \" at \" + event.created.strftime(\"%H:%M\")\nreturn {}", json: `{}`, body: "bob failed to log in at 05:06"},
	{name: "colours by severity", json: `{"color":16753920,"fields":[{"name":"Action","value":"login_failed","inline":true}]}`, source: `
colors = {
    "notice": 0x00ff00,
    "warning": 0xffa500,
    "alert": 0xff0000,
}
return {
    "color": colors.get(notification.severity, 0),
    "fields": [
        {"name": "Action", "value": str(notification.event.action), "inline": True},
    ],
}`},
	{name: "a function and a loop", json: `["username: bob","password: ********","message: Käse \"x\" <b>"]`, source: `
def lines(context):
    """Texts only."""
    out = []
    for key, value in context.items():
        if isinstance(value, str):
            out.append(f"{key}: {value}")
    return out

return lines(event.context)`},
	{name: "a comprehension with a condition", source: `return {k: v for k, v in event.context.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}`,
		json: `{"attempts":5,"rate":0.375}`},
	{name: "headers", source: `return {"Authorization": "Bearer " + "abc", "X-Severity": notification.severity}`, json: `{"Authorization":"Bearer abc","X-Severity":"warning"}`},
	{name: "a ternary and adjacent strings", source: "return (\n    'failed '\n    f\"{event.context['attempts']} times\"\n    if event.context['attempts'] > 1 else 'failed once'\n)",
		json: `"failed 5 times"`},
	{name: "numbers in formats", source: `return f"{event.context['rate']:.1%} {event.context['attempts']:03d} {1234567.891:,.2f} {'x':>3}|{'y':<3}|{3.14159:.2f}"`,
		json: `"37.5% 005 1,234,567.89   x|y  |3.14"`},
	{name: "conversions and braces", source: `return f"{user!s} {user.username!r} {{literal}} {event.context['tags']}"`, json: `"alice 'alice' {literal} ['a', 'b']"`},
	{name: "percent and format", source: `return "%s has %d (%.2f) %%" % (user.name, 5, 0.5) + " {} {name!r} {0:>6}".format("x", name="n")`, json: `"Alice Doe has 5 (0.50) % x 'n'      x"`},
	{name: "the whole context as text", source: `return {"text": f"{event.action}: {event.context.get('geo')}"}`, json: `{"text":"login_failed: {'country': 'DE', 'city': 'Köln'}"}`},
	{name: "text is cut between characters", source: `return event.context["message"][:4] + "…", len(event.context["message"])`, json: `["Käse…",12]`},
	{name: "a pattern is replaced", source: `return regex_replace(event.client_ip, r"(\d+)\.(\d+)\.\d+\.\d+", r"\1.\2.x.x")`, json: `"10.20.x.x"`},
	{name: "the attributes of the recipient", source: `return user.attributes.get("chat"), user.group_attributes()["settings"], user.group_attributes().get("team")`,
		json: `["alice-chat",{"locale":"de","theme":"dark"},"ops"]`},
	{name: "times", source: `return event.created.isoformat(), event.created.year, str(event.created), event.created.timestamp() > 0`,
		json: `["2026-03-04T05:06:07.089000+00:00",2026,"2026-03-04 05:06:07.089000+00:00",true]`},

	{name: "policy: True", source: `return True`, json: `true`},
	{name: "policy: nothing is returned", source: `ak_message("looked")`, json: `null`, messages: []string{"looked"}},
	{name: "policy: the event of the request", source: "event = request.context[\"event\"]\nreturn event.action == \"login_failed\" and event.user.get(\"username\") != \"akadmin\"", json: `true`},
	{name: "policy: the object of the request", source: `return request.obj.app.startswith("authentik.") and request.http_request is None`, json: `true`},
	{name: "policy: a pattern", source: `return regex_match(request.context["event"].context["username"], r"^(bob|carol)$")`, json: `true`},
	{name: "policy: a group", source: `return ak_is_group_member(request.user, name="On-Call")`, json: `true`},
	{name: "policy: groups the long way", source: `return request.user.ak_groups.filter(name="Nobody").exists() or any(g.name == "On-Call" for g in user.ak_groups.all())`, json: `true`},
	{name: "policy: a network", source: `return ip_address(event.client_ip) in ip_network("10.0.0.0/8") and not ip_address(event.client_ip).is_loopback`, json: `true`},
	{name: "policy: a message beside the answer", json: `false`, messages: []string{"5 is too few"}, source: `
attempts = context["event"].context.get("attempts")
if attempts is None or attempts < 10:
    ak_logger.debug("few", attempts=attempts)
    ak_message(f"{attempts} is too few")
    return False
return True`},
	{name: "policy: office hours", source: `return event.created.weekday() < 5 and 8 <= event.created.hour and event.created.hour < 18`, json: `false`},
	{name: "policy: a while loop", source: "n = 0\nwhile n < event.context[\"attempts\"]:\n    n += 2\nreturn n", json: `6`},
	{name: "policy: what is empty does not pass", source: `return [k for k in event.context if k.startswith("zz")]`, json: `[]`},
	{name: "policy: a set", source: `return len({event.action, "login", "login"}) == 2 and event.action in {"login_failed", "logout"}`, json: `true`},
	{name: "policy: many of any", source: `return all(x in event.context for x in ("username", "geo")) and sum(len(t) for t in event.context["tags"]) == 2`, json: `true`},
	{name: "sorted by a lambda", source: `return sorted([("b", 1), ("a", 2)], key=lambda pair: pair[1], reverse=True)[0][0] + "-".join(str(i) for i in range(3))`, json: `"a0-1-2"`},
}

func TestExpressionsOfAuthentikRunUnchanged(t *testing.T) {
	if len(expressions) < 25 {
		t.Errorf("only %d expressions", len(expressions))
	}
	runner := NewRunner()
	for _, test := range expressions {
		t.Run(test.name, func(t *testing.T) {
			program, err := Compile(strings.TrimSpace(test.source))
			if err != nil {
				t.Fatal(err)
			}
			got, err := runner.Run(t.Context(), program, loginFailed())
			if err != nil {
				t.Fatal(err)
			}
			want := Result{JSON: []byte(test.json), Body: test.body, Messages: test.messages}
			if want.Body == "" {
				want.Body = "bob failed to log in"
			}
			want.Passing = !strings.Contains("null false 0 [] {}", test.json)
			if diff := cmp.Diff(want, got, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is missing is None, and nobody is the anonymous user, so that one expression serves everywhere.
func TestExpressionsRunWithoutAnything(t *testing.T) {
	for source, want := range map[string]string{
		`return event is None and notification is None and request.obj is None`:           `true`,
		`return user.username, user.pk, request.user.is_authenticated, user.is_anonymous`: `["AnonymousUser",null,false,true]`,
		`return request.context`: `{}`,
		`return user.ak_groups.count(), user.ak_groups.first(), user.attributes, user.group_attributes()`: `[0,null,{},{}]`,
	} {
		program, err := Compile(source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewRunner().Run(t.Context(), program, Input{})
		if err != nil || string(got.JSON) != want {
			t.Errorf("%s: %s, %v", source, got.JSON, err)
		}
	}
}

// What Python and Starlark have otherwise is as Python has it.
func TestValuesAreWrittenAsPythonWritesThem(t *testing.T) {
	for source, want := range map[string]string{
		`str([1.0, None, True, "a'b", "c\n", (1,), {1: 2}, 1e16, 1e-5, -0.5])`:                            `"[1.0, None, True, \"a'b\", 'c\\n', (1,), {1: 2}, 1e+16, 1e-05, -0.5]"`,
		`{1: "a", True: "b", None: "c", 1.5: "d"}`:                                                        `{"1":"a","true":"b","null":"c","1.5":"d"}`,
		`"é😀x".find("x"), "é😀x"[1], "é😀x"[::-1], "éa".index("a"), list("éa")`:                             `[2,"😀","x😀é",1,["é","a"]]`,
		`round(2.5), round(2.675, 2), round(1234.5), 7 // 2, -7 // 2, -7 % 3, 7 / 2`:                      `[2,2.67,1234,3,-4,2,3.5]`,
		`"a,b".split(","), "x".zfill(3), "-5".zfill(4), "ab".center(6, "*"), "A".casefold()`:              `[["a","b"],"00x","-005","**ab**","a"]`,
		`f"{255:x} {255:#X} {5:b} {0.5:%} {1e10:g} {-3:+d} {3:+d} {7:^5}|{'é':*>3}"`:                      `"ff 0XFF 101 50.000000% 1e+10 -3 +3   7  |**é"`,
		`f"{user:>7}{event.created:%Y}" "{}"`:                                                             `"  alice2026{}"`,
		`"%5s|%-5s|%05d|%x|%e|%r|%(a)s" % {"a": 1} if False else "%5s|%-5s|%05d|%x" % ("a", "b", 3, 255)`: `"    a|b    |00003|ff"`,
		`[1, 2, 3, 4][1:3], [1, 2, 3][-1], (1, 2, 3)[:2], [1, 2, 3][::-2], "abc"[5:], [][0:9]`:            `[[2,3],3,[1,2],[3,1],"",[]]`,
		`"\x41\u00e9\101\q" r"\d\n" 'it\'s' """a
b"""`: `"Aé` + `A\\q\\d\\nit's` + `a\nb"`,
		`{"a": 1} | {"b": 2}, {1, 2} | {3}, [1] * 2 + [3]`:                                                `[{"a":1,"b":2},[1,2,3],[1,1,3]]`,
		`True is True, None is None, 1 == 1.0, "a" not in "b", not None, 1 and 0 or 2`:                    `[true,true,true,true,true,2]`,
		`event.context["none"] is None, event.context["ok"] is True`:                                      `[true,true]`,
		`list_flatten(["a", "b"]), list_flatten([]), list_flatten("c"), slugify("Hello Wörld -- x")`:      `["a",null,"c","hello-wrld-x"]`,
		`regex_match("foobar", "oba"), regex_replace("a-b", "(?P<x>.)-(.)", "\\g<x>\\2\\n")`:              `[true,"ab\n"]`,
		`getattr(user, "nope", "x"), hasattr(user, "email"), hasattr(user, "nope")`:                       `["x",true,false]`,
		`user.ak_groups.values_list("name", flat=True), user.groups.filter(name__in=["On-Call"]).count()`: `[["authentik Admins","On-Call"],1]`,
		`9007199254740993, 0xff, 1_000, 1e3, 10000000000000000000000`:                                     `[9007199254740993,255,1000,1000.0,10000000000000000000000]`,
	} {
		program, err := Compile("return " + source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, err := NewRunner().Run(t.Context(), program, loginFailed())
		if err != nil || string(got.JSON) != want {
			t.Errorf("%s:\n%s, %v\nwant\n%s", source, got.JSON, err, want)
		}
	}
}

// A list grows in place, whoever else holds it, and x[i] += y works out x once.
func TestAssignmentsChangeWhatPythonChanges(t *testing.T) {
	for source, want := range map[string]string{
		"a = [1]\nb = a\nb += [2]\nb = b + [3]\nreturn a, b":                           `[[1,2],[1,2,3]]`,
		"a = [1]\na += a\na *= 2\nreturn a":                                            `[1,1,1,1]`,
		"d = {'n': 1}\nd['n'] += 1\nd['n'] -= 5\nd[str(1) + '1'] = 2\nreturn d":        `{"n":-3,"11":2}`,
		"a, (b, c) = 1, (2, 3)\na, b = b, a\nreturn a, b, c":                           `[2,1,3]`,
		"l = [3, 1, 2]\nl.sort()\nl.reverse()\nm = l.copy()\nm.append(9)\nreturn l, m": `[[3,2,1],[3,2,1,9]]`,
		"d = {'a': 1}\ne = d.copy()\ne['b'] = 2\nreturn d, e, [1, 2, 1].count(1)":      `[{"a":1},{"a":1,"b":2},2]`,
	} {
		program, err := Compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, err := NewRunner().Run(t.Context(), program, loginFailed())
		if err != nil || string(got.JSON) != want {
			t.Errorf("%s: %s, %v, want %s", source, got.JSON, err, want)
		}
	}
}
