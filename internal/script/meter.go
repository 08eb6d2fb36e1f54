package script

import (
	"fmt"

	"go.starlark.net/starlark"
)

// Starlark counts steps but not memory, and one step can ask for a gigabyte. The guarded functions therefore say before
// they make or walk something how large it is.
const (
	maxSteps  = 1_000_000 // of Starlark, about a tenth of a second
	maxValue  = 1 << 20   // bytes of one string, or of one list at slot bytes an element
	maxMemory = 16 << 20  // bytes of all strings and lists that one run makes, those that it forgets included
	maxParts  = 100_000   // of nested values that are compared or used as keys
	maxBits   = 4096      // of an integer
	slot      = 16        // bytes of an element of a list
)

// meter counts what one run makes.
type meter struct {
	used     int
	messages []string // given to ak_message
	said     int      // bytes of those
	stopped  string   // why Starlark stopped it: the sentence of a limit
}

const meterKey = "meter"

// meterOf is the meter of a run.
func meterOf(thread *starlark.Thread) *meter { return thread.Local(meterKey).(*meter) }

// limitError is the sentence of a limit whose overrun took its time; what is refused beforehand is an error like any.
type limitError string

func (e limitError) Error() string { return string(e) }

// charge counts bytes that are about to be made.
func (m *meter) charge(bytes int) error {
	if bytes > maxValue {
		return errLarge
	}
	if m.used += bytes; m.used > maxMemory {
		return limitError("this expression makes more than 16 MiB in all, which none may")
	}
	return nil
}

// chargeTimes counts what is about to be made n times.
func (m *meter) chargeTimes(bytes, n int) error {
	if n > 0 && bytes > maxValue/n {
		n, bytes = 1, maxValue+1
	}
	return m.charge(bytes * max(n, 0))
}

// size is how many bytes a value has itself, without those of its elements.
func size(v starlark.Value) int {
	switch v := v.(type) {
	case starlark.String:
		return len(v)
	case starlark.Int:
		return bits(v) / 8
	case starlark.Sequence:
		return slot * v.Len()
	}
	return 0
}

// bits is the length of an integer.
func bits(n starlark.Int) int {
	if _, ok := n.Int64(); ok {
		return 64
	}
	return n.BigInt().BitLen()
}

var (
	errLarge = words("this would make more than 1 MiB at once, which no expression may")
	errWidth = words("a field of formatted text may be 10,000 characters wide")
	errParts = words("this has more than 100,000 parts, nested ones counted as often as they stand there")
)

// weigh counts the parts of nested values that are about to be walked; a value that holds itself has no end.
func (m *meter) weigh(values ...starlark.Value) error {
	parts := 0
	for _, v := range values {
		if err := count(v, &parts); err != nil {
			return err
		}
	}
	return m.charge(parts)
}

func count(v starlark.Value, parts *int) error {
	if *parts++; *parts > maxParts {
		return errParts
	}
	elements, ok := v.(starlark.Iterable)
	if _, ranges := v.(starlark.Indexable); !ok || ranges && v.Type() == "range" {
		return nil
	}
	d, isDict := v.(*starlark.Dict)
	for e := range starlark.Elements(elements) {
		if err := count(e, parts); err != nil {
			return err
		}
		if isDict {
			value, _, err := d.Get(e)
			if err != nil {
				return err
			}
			if err := count(value, parts); err != nil {
				return err
			}
		}
	}
	return nil
}

// function is a builtin as this package writes them.
type function func(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error)

func builtin(name string, f function) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return f(thread, args, kwargs)
	})
}

// metered is a function of Starlark's own whose result is counted; what it walks is bounded already, but for tuples within
// tuples, which it may use as keys.
func metered(f *starlark.Builtin) *starlark.Builtin {
	keys := takesKeys(f)
	return builtin(f.Name(), func(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		m := meterOf(thread)
		for _, arg := range args {
			if _, isTuple := arg.(starlark.Tuple); isTuple || keys {
				if err := m.weigh(arg); err != nil {
					return nil, err
				}
			}
		}
		result, err := starlark.Call(thread, f, args, kwargs)
		if err != nil {
			return nil, err
		}
		return result, m.charge(size(result))
	})
}

// takesKeys reports whether a function uses what stands in its arguments as keys. A tuple's hash is worked out anew each
// time, part by part, in one step.
func takesKeys(f *starlark.Builtin) bool {
	switch f.Receiver().(type) {
	case *starlark.Dict, *starlark.Set:
		return true
	}
	return f.Name() == "set" || f.Name() == "dict"
}

// words makes an error out of a sentence.
func words(format string, args ...any) error { return fmt.Errorf(format, args...) }
