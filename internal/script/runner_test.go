package script

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.starlark.net/starlark"
)

func compile(t testing.TB, source string) *Program {
	t.Helper()
	program, err := Compile(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return program
}

// bombs ask for gigabytes, or for ages, in a few steps.
var bombs = map[string]string{
	"a string times a number":       `return "a" * (1 << 29)`,
	"a number times a string":       `return 100000000000000000000000 * "a"`,
	"a list times a number":         `return [0] * 1000000000`,
	"a tuple times a number":        `x = (0,)` + "\n" + `x *= 1 << 40`,
	"doubling a string":             "s = 'aaaaaaaaaaaaaaaa'\nwhile True:\n    s += s",
	"doubling a list":               "l = [0]\nwhile True:\n    l = l + l",
	"doubling a list in place":      "l = [0]\nwhile True:\n    l.extend(l)",
	"many long strings":             "l = []\nfor i in range(100000):\n    l.append('a' * 1000000)",
	"a long range":                  `return list(range(1000000000))`,
	"the largest of a long range":   `return max(range(1000000000))`,
	"join":                          `return ",".join(["a" * 1000000] * 60000)`,
	"replace":                       `return ("a" * 100000).replace("a", "b" * 100000)`,
	"a width in %":                  `return "%1000000000d" % 1`,
	"a precision in %":              `return "%.1000000000f" % 1.5`,
	"a width in an f-string":        `return f"{1:>1000000000}"`,
	"a width that is worked out":    "n = 1000000000\nreturn f\"{1:>{n}}\"",
	"ljust":                         `return "a".ljust(1000000000)`,
	"zfill":                         `return "a".zfill(1000000000)`,
	"format":                        `return "{:>1000000000}".format(1)`,
	"a shift":                       `return 1 << 1000000000`,
	"squares":                       "x = 3\nwhile True:\n    x = x * x",
	"shifts":                        "x = 3\nwhile True:\n    x <<= 500",
	"a number out of digits":        `return int("9" * 1000000)`,
	"lists of lists, returned":      "l = [0, 0]\nfor i in range(60):\n    l = [l, l]\nreturn l",
	"lists of lists, as text":       "l = [0]\nfor i in range(60):\n    l = [l, l]\nreturn str(l)",
	"lists of lists, compared":      "l = [0]\nm = [0]\nfor i in range(60):\n    l = [l, l]\n    m = [m, m]\nreturn l == m",
	"tuples of tuples, as a key":    "t = (0,)\nfor i in range(60):\n    t = (t, t)\nreturn {t: 1}",
	"tuples of tuples, looked up":   "t = (0,)\nfor i in range(60):\n    t = (t, t)\nreturn {}.get(t)",
	"a dict that grows":             `return {i: "a" * 10000 for i in range(100000)}`,
	"a dict without end":            "d = {}\nwhile True:\n    d[len(d)] = 1",
	"a list without end":            "l = []\nwhile True:\n    l.append(l)",
	"a pattern that matches much":   `return regex_replace("a" * 60000, "a", "b")`,
	"a pattern that multiplies":     `return regex_replace("a" * 9000, "a", "\\g<0>" * 1000)`,
	"a pattern that repeats much":   `return regex_match("a" * 60000, "(a{0,500}){2}" * 70)`,
	"a pattern as long as the text": `return regex_match("a" * 60000, "(a{0,500}){2}b" * 2)`,
	"messages":                      "while True:\n    ak_message('a' * 1000)",
	"slices":                        "s = 'a' * 1000000\nl = []\nwhile True:\n    l.append(s[1:])",
	"upper":                         "s = 'a' * 1000000\nl = []\nwhile True:\n    l.append(s.upper())",
	"split":                         "s = 'a,' * 100000\nl = []\nwhile True:\n    l.append(s.split(','))",
	"percent of itself":             "s = '%s%s'\nwhile True:\n    s = s % (s, s)",
	"a tuple of tuples as a key, 0": "t = (1, 2)\nfor i in range(60):\n    t = (t, t)\nreturn set([t])",
	"a tuple of tuples as a key, 1": "t = (1, 2)\nfor i in range(60):\n    t = (t, t)\nreturn dict([[t, 1]])",
	"a tuple of tuples as a key, 2": "t = (1, 2)\nfor i in range(60):\n    t = (t, t)\nreturn set().union([1], [t])",
	"a tuple of tuples as a key, 3": "t = (1, 2)\nfor i in range(60):\n    t = (t, t)\nreturn {1: 2}[t]",
	"a tuple of tuples as a key, 4": "t = (1, 2)\nfor i in range(60):\n    t = (t, t)\nreturn set([1]).issubset([t])",
	"a tuple of tuples as a key, 5": "t = (1, 2)\nfor i in range(60):\n    t = (t, t)\nreturn {}.update([(t, 1)])",
	"an f-string of itself":         "s = 'abc'\nwhile True:\n    s = f'{s}{s}'",
}

// Each of them fails in time, and what it asked for in all, most of which was free again meanwhile, is bounded.
func TestBombsAreRefused(t *testing.T) {
	for name, source := range bombs {
		t.Run(name, func(t *testing.T) {
			program := compile(t, source)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begun := time.Now()
			_, err := NewRunner().Run(t.Context(), program, loginFailed())
			took := time.Since(begun)
			runtime.ReadMemStats(&after)
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("error %v", err)
			}
			if took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 100 {
				t.Errorf("%d MiB", mib)
			}
			t.Log(err, took, (after.TotalAlloc-before.TotalAlloc)>>20, "MiB")
		})
	}
}

const (
	endless = "while event.action == 'spin':\n    pass\nreturn event.action"
	// slow takes longer with each step, so that time runs out before the steps do.
	slow = "l = list(range(60000))\nwhile event.action == 'spin':\n    -1 in l\nreturn event.action"
)

func acting(action string) Input { return Input{Event: &Event{Action: action}} }

func TestAnEndlessLoopStopsAtTheLimitAndRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runner := NewRunner()
		_, err := runner.Run(t.Context(), compile(t, endless), acting("spin"))
		if err == nil || !strings.HasSuffix(err.Error(), ": the expression took more than 1,000,000 steps, which none may: is there a loop without an end?") {
			t.Fatal(err)
		}
		want := err.Error()
		// It is compiled anew when anything changes, and is the same expression still.
		program := compile(t, endless)
		if _, err := runner.Run(t.Context(), program, acting("calm")); err == nil || err.Error() != want {
			t.Errorf("while it rests: %v", err)
		}
		if out, err := runner.Run(t.Context(), compile(t, "return event.action"), acting("other")); err != nil || string(out.JSON) != `"other"` {
			t.Errorf("another one meanwhile: %s, %v", out.JSON, err)
		}
		time.Sleep(rest - time.Nanosecond)
		if _, err := runner.Run(t.Context(), program, acting("calm")); err == nil {
			t.Error("it ran before its rest was over")
		}
		time.Sleep(time.Nanosecond)
		if out, err := runner.Run(t.Context(), program, acting("calm")); err != nil || string(out.JSON) != `"calm"` {
			t.Errorf("after its rest: %s, %v", out.JSON, err)
		}
	})
}

// What is refused beforehand costs nothing, and the next event is another.
func TestWhatCostsNothingDoesNotRest(t *testing.T) {
	runner := NewRunner()
	program := compile(t, "return 'a' * (1000000000 if event.action == 'large' else 2)")
	if _, err := runner.Run(t.Context(), program, acting("large")); err == nil {
		t.Fatal("no error")
	}
	if out, err := runner.Run(t.Context(), program, acting("small")); err != nil || string(out.JSON) != `"aa"` {
		t.Errorf("%s, %v", out.JSON, err)
	}
}

func TestWhatTakesTooMuchMemoryRests(t *testing.T) {
	runner := NewRunner()
	program := compile(t, "l = []\nwhile event.action == 'spin':\n    l.append('a' * 1000000)\nreturn 1")
	_, first := runner.Run(t.Context(), program, acting("spin"))
	_, second := runner.Run(t.Context(), program, acting("calm"))
	if first == nil || second == nil || first.Error() != second.Error() || !strings.Contains(first.Error(), "16 MiB in all") {
		t.Errorf("%v, then %v", first, second)
	}
}

func TestASlowExpressionStopsAfterASecond(t *testing.T) {
	runner := NewRunner()
	begun := time.Now()
	_, err := runner.Run(t.Context(), compile(t, slow), acting("spin"))
	if took := time.Since(begun); err == nil || err.Error() != "the expression ran for more than a second, which none may" || took < maxTime || took > 5*maxTime {
		t.Errorf("%v after %s", err, took)
	}
	if _, err := runner.Run(t.Context(), compile(t, "return 1"), Input{}); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestACancelledContextStopsARun(t *testing.T) {
	runner := NewRunner()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	program := compile(t, slow)
	if _, err := runner.Run(ctx, program, acting("spin")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := runner.Run(ctx, program, acting("calm")); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	// Whoever gave up is no reason to let it rest.
	if out, err := runner.Run(t.Context(), program, acting("calm")); err != nil || string(out.JSON) != `"calm"` {
		t.Errorf("%s, %v", out.JSON, err)
	}
}

func TestOneExpressionRunsAtATime(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	enter := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		running += by
		most = max(most, running)
	}
	library["watched"] = builtin("watched", func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		enter(1)
		runtime.Gosched()
		enter(-1)
		return starlark.None, nil
	})
	defer delete(library, "watched")
	program := compile(t, "for i in range(100):\n    watched()\nreturn user.username")
	runner := NewRunner()
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if out, err := runner.Run(t.Context(), program, Input{}); err != nil || string(out.JSON) != `"AnonymousUser"` {
				t.Errorf("%s, %v", out.JSON, err)
			}
		})
	}
	wait.Wait()
	if most != 1 {
		t.Errorf("%d at a time", most)
	}
}

// A step that cannot be stopped holds up other expressions, which fail in time, and nothing else.
func TestWhatCannotBeStoppedHoldsUpExpressionsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		library["stuck"] = builtin("stuck", func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			<-stuck
			return starlark.None, nil
		})
		defer delete(library, "stuck")
		runner := NewRunner()
		if _, err := runner.Run(t.Context(), compile(t, "stuck()"), Input{}); err == nil || !strings.Contains(err.Error(), "more than a second") {
			t.Error(err)
		}
		_, err := runner.Run(t.Context(), compile(t, "return 1"), Input{})
		if err == nil || err.Error() != "another expression has been running for too long: try again in a moment" {
			t.Error(err)
		}
		close(stuck)
		synctest.Wait()
		if _, err := runner.Run(t.Context(), compile(t, "return 1"), Input{}); err != nil {
			t.Error(err)
		}
	})
}

func TestAPanicIsAnErrorOfTheExpression(t *testing.T) {
	library["broken"] = builtin("broken", func(*starlark.Thread, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		panic("oh")
	})
	defer delete(library, "broken")
	runner := NewRunner()
	for range 2 { // and the next one is not held up
		_, err := runner.Run(t.Context(), compile(t, "broken()"), Input{})
		if err == nil || err.Error() != "this expression broke the program that runs it, please report it: oh" {
			t.Error(err)
		}
	}
}

func TestInputHasABound(t *testing.T) {
	program := compile(t, "return len(event.context['x'])")
	for size, want := range map[int]string{60_000: "", MaxInput: "the event has more than 64 KiB, which is what an expression may be given"} {
		in := Input{Event: &Event{Context: []byte(`{"x":"` + strings.Repeat("a", size) + `"}`)}}
		_, err := NewRunner().Run(t.Context(), program, in)
		if err == nil && want != "" || err != nil && err.Error() != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	in := Input{Event: &Event{Context: []byte(`{`)}}
	if _, err := NewRunner().Run(t.Context(), program, in); err == nil || !strings.Contains(err.Error(), "no JSON") {
		t.Error(err)
	}
}

// Whoever posts events may send any JSON; an expression that asks politely does not fail of it.
func TestWhatIsNoObjectIsEmpty(t *testing.T) {
	program := compile(t, "return event.context.get('x'), event.user.get('username'), event.brand, user.attributes")
	for _, raw := range []string{`[1]`, `"x"`, `5`, `null`, `true`, ``} {
		in := Input{Event: &Event{Context: []byte(raw), User: []byte(raw), Brand: []byte(raw)}, User: &User{Attributes: []byte(raw)}}
		if out, err := NewRunner().Run(t.Context(), program, in); err != nil || string(out.JSON) != `[null,null,{},{}]` {
			t.Errorf("%s: %s, %v", raw, out.JSON, err)
		}
	}
}

// One run leaves nothing to the next: what it changes is its own.
func TestRunsDoNotSeeEachOther(t *testing.T) {
	runner := NewRunner()
	program := compile(t, "event.context['n'] = event.context.get('n', 0) + 1\nuser.attributes['x'] = 1\nnotification.body += '!'\nreturn event.context['n']")
	in := loginFailed()
	for range 3 {
		out, err := runner.Run(t.Context(), program, in)
		if err != nil || string(out.JSON) != "1" || out.Body != "bob failed to log in!" {
			t.Errorf("%s %s %v", out.JSON, out.Body, err)
		}
	}
	if diff := loginFailed(); string(diff.Event.Context) != string(in.Event.Context) || diff.Notification.Body != in.Notification.Body {
		t.Error("the input was changed")
	}
}

func BenchmarkRun(b *testing.B) {
	runner := NewRunner()
	for name, source := range map[string]string{"mapping": `return {"text": f"{notification.severity}: {notification.body[:100]}", "fields": [{"k": k} for k in event.context]}`,
		"policy": `return event.action == "login_failed" and regex_match(event.client_ip, r"^10\.")`} {
		program, in := compile(b, source), loginFailed()
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := runner.Run(b.Context(), program, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
