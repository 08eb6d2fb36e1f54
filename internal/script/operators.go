package script

import (
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// guards are the functions that operators, attributes and the like become; see rewrite.go.
var guards = makeGuards()

// guard is a function whose number of arguments the translation knows.
type guard func(m *meter, args starlark.Tuple) (starlark.Value, error)

func makeGuards() starlark.StringDict {
	all := starlark.StringDict{}
	add := func(name string, f guard) {
		all[name] = builtin(name, func(thread *starlark.Thread, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			return f(meterOf(thread), args)
		})
	}
	for op := syntax.PLUS; op <= syntax.NOT_IN; op++ {
		if op >= syntax.PLUS_EQ && op <= syntax.GTGT_EQ {
			add("__"+op.String(), func(m *meter, args starlark.Tuple) (starlark.Value, error) {
				return assign(m, op-syntax.PLUS_EQ+syntax.PLUS, args[0], args[1])
			})
			continue
		}
		add("__"+op.String(), func(m *meter, args starlark.Tuple) (starlark.Value, error) { return binary(m, op, args[0], args[1]) })
	}
	add("__attr", func(_ *meter, args starlark.Tuple) (starlark.Value, error) {
		return attribute(args[0], string(args[1].(starlark.String)))
	})
	add("__index", func(m *meter, args starlark.Tuple) (starlark.Value, error) {
		if _, err := key(m, args[1]); err != nil {
			return nil, err
		}
		return index(args[0], args[1])
	})
	add("__slice", slice)
	add("__iter", func(_ *meter, args starlark.Tuple) (starlark.Value, error) { return characters(args[0]), nil })
	add("__key", func(m *meter, args starlark.Tuple) (starlark.Value, error) { return key(m, args[0]) })
	add("__text", func(m *meter, args starlark.Tuple) (starlark.Value, error) { return joinText(m, args) })
	add("__field", fieldText)
	all["__set"] = metered(starlark.Universe["set"].(*starlark.Builtin))
	return all
}

// assign is x op= y. A list grows in place, as Python's do, whoever else holds it.
func assign(m *meter, op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	list, isList := x.(*starlark.List)
	more, iterable := y.(starlark.Iterable)
	if op != syntax.PLUS || !isList || !iterable {
		return binary(m, op, x, y)
	}
	if err := m.charge(slot * (list.Len() + max(starlark.Len(y), 0))); err != nil {
		return nil, err
	}
	var elements []starlark.Value // first, because y may be the list
	for e := range starlark.Elements(more) {
		elements = append(elements, e)
	}
	for _, e := range elements {
		if err := list.Append(e); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// binary is x op y, unless its result would be too large.
func binary(m *meter, op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	switch op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		return compare(m, op, x, y)
	case syntax.PERCENT:
		if format, ok := x.(starlark.String); ok {
			return percent(m, string(format), y)
		}
	case syntax.STAR, syntax.LTLT:
		if err := chargeProduct(m, op, x, y); err != nil {
			return nil, err
		}
	case syntax.IN, syntax.NOT_IN:
		if _, ok := x.(starlark.Iterable); ok {
			if err := m.weigh(x, y); err != nil {
				return nil, err
			}
		}
	default:
		if err := m.charge(size(x) + size(y)); err != nil {
			return nil, err
		}
	}
	z, err := starlark.Binary(op, x, y)
	switch {
	case err == nil || !strings.HasPrefix(err.Error(), "unknown binary op"):
	case op == syntax.IN || op == syntax.NOT_IN:
		return nil, words("%s holds nothing that %s could be in", article(y.Type()), article(x.Type()))
	default:
		return nil, words("%s %s %s is not possible: make both the same kind, with str(…) or int(…)", x.Type(), op, y.Type())
	}
	return z, err
}

// chargeProduct counts what x * y or x << y makes.
func chargeProduct(m *meter, op syntax.Token, x, y starlark.Value) error {
	n, ok := y.(starlark.Int)
	if !ok {
		x, y = y, x
		if n, ok = y.(starlark.Int); !ok {
			return nil
		}
	}
	if first, ok := x.(starlark.Int); ok {
		length := bits(n)
		if op == syntax.LTLT {
			length, _ = starlark.AsInt32(n)
		}
		if small(first) && small(n) && op == syntax.STAR {
			return nil
		}
		if bits(first)+length > maxBits {
			return words("an integer may have 4,096 bits")
		}
		return nil
	}
	if _, ok := x.(starlark.Sequence); !ok && x.Type() != "string" {
		return nil
	}
	times, ok := n.Int64()
	if !ok {
		times = maxValue + 1
	}
	return m.chargeTimes(size(x), int(times))
}

func small(n starlark.Int) bool { _, ok := n.Int64(); return ok }

// compare is x op y for values whose parts are compared one by one.
func compare(m *meter, op syntax.Token, x, y starlark.Value) (starlark.Value, error) {
	_, nestedX := x.(starlark.Iterable)
	_, nestedY := y.(starlark.Iterable)
	if nestedX && nestedY {
		if err := m.weigh(x, y); err != nil {
			return nil, err
		}
	}
	result, err := starlark.Compare(op, x, y)
	if err != nil && strings.Contains(err.Error(), "not implemented") {
		return nil, words("%s and %s cannot be compared with %s", x.Type(), y.Type(), op)
	}
	return starlark.Bool(result), err
}

// key is a value that is about to be a key.
func key(m *meter, v starlark.Value) (starlark.Value, error) {
	if t, ok := v.(starlark.Tuple); ok {
		return v, m.weigh(t)
	}
	return v, nil
}

// index is x[i].
func index(x, i starlark.Value) (starlark.Value, error) {
	if mapping, ok := x.(starlark.Mapping); ok {
		v, found, err := mapping.Get(i)
		if err == nil && !found {
			return nil, words("there is no key %s: ask with .get(%[1]s)", i)
		}
		return v, err
	}
	sequence, ok := characters(x).(starlark.Indexable)
	if !ok {
		return nil, words("%s has no parts to take with [ ]", article(x.Type()))
	}
	n, err := starlark.AsInt32(i)
	if err != nil {
		return nil, words("the parts of %s are taken with a number, not %s", article(x.Type()), article(i.Type()))
	}
	if n < 0 {
		n += sequence.Len()
	}
	if n < 0 || n >= sequence.Len() {
		return nil, words("there is no part %s: the %s has %d", i, x.Type(), sequence.Len())
	}
	return sequence.Index(n), nil
}

func article(kind string) string {
	if strings.HasPrefix(kind, "int") || strings.HasPrefix(kind, "event") {
		return "an " + kind
	}
	return "a " + kind
}

// characters makes a list of the characters of a string, as Python sees it; other values stay.
func characters(v starlark.Value) starlark.Value {
	text, ok := v.(starlark.String)
	if !ok {
		return v
	}
	list := make([]starlark.Value, 0, utf8.RuneCountInString(string(text)))
	for _, r := range string(text) {
		list = append(list, starlark.String(r))
	}
	return starlark.NewList(list)
}

// slice is x[low:high:step]; strings are cut between characters.
func slice(m *meter, args starlark.Tuple) (starlark.Value, error) {
	if text, ok := args[0].(starlark.String); ok {
		return sliceText(m, string(text), args[1:])
	}
	sequence, ok := args[0].(starlark.Indexable)
	if !ok {
		return nil, words("%s has no parts to take with [ : ]", article(args[0].Type()))
	}
	var elements []starlark.Value
	if err := eachIndex(sequence.Len(), args[1:], func(i int) { elements = append(elements, sequence.Index(i)) }); err != nil {
		return nil, err
	}
	if _, ok := sequence.(starlark.Tuple); ok {
		return starlark.Tuple(elements), m.charge(slot * len(elements))
	}
	return starlark.NewList(elements), m.charge(slot * len(elements))
}

// sliceText cuts a text between characters, without a copy where it can.
func sliceText(m *meter, text string, bounds starlark.Tuple) (starlark.Value, error) {
	n := utf8.RuneCountInString(text)
	if bounds[2] == starlark.None {
		low, err := clamped(bounds[0], 0, n, 0, n)
		if err != nil {
			return nil, err
		}
		high, err := clamped(bounds[1], n, n, 0, n)
		text = text[offset(text, low):]
		text = text[:offset(text, max(high-low, 0))]
		if err == nil {
			err = m.charge(len(text))
		}
		return starlark.String(text), err
	}
	runes := []rune(text)
	var out strings.Builder
	if err := eachIndex(n, bounds, func(i int) { out.WriteRune(runes[i]) }); err != nil {
		return nil, err
	}
	return starlark.String(out.String()), m.charge(out.Len())
}

// offset is where the nth character of a text begins, in bytes.
func offset(text string, n int) int {
	for i := range text {
		if n == 0 {
			return i
		}
		n--
	}
	return len(text)
}

// eachIndex visits what low, high and step, each None or a number, choose of n parts.
func eachIndex(n int, bounds starlark.Tuple, visit func(int)) error {
	step, err := bound(bounds[2], 1)
	if err != nil {
		return err
	}
	if step == 0 {
		return words("the step of a slice must not be 0")
	}
	low, high, first, last := 0, n, 0, n
	if step < 0 {
		low, high, first, last = -1, n-1, n-1, -1
	}
	if first, err = clamped(bounds[0], first, n, low, high); err != nil {
		return err
	}
	if last, err = clamped(bounds[1], last, n, low, high); err != nil {
		return err
	}
	for i := first; step > 0 && i < last || step < 0 && i > last; i += step {
		visit(i)
	}
	return nil
}

// clamped is a bound of a slice between low and high; negative ones count from the end.
func clamped(v starlark.Value, otherwise, n, low, high int) (int, error) {
	if v == starlark.None {
		return otherwise, nil
	}
	i, err := bound(v, otherwise)
	if i < 0 {
		i += n
	}
	return min(max(i, low), high), err
}

// bound is a number of a slice, cut where no sequence reaches.
func bound(v starlark.Value, otherwise int) (int, error) {
	if v == starlark.None {
		return otherwise, nil
	}
	n, ok := v.(starlark.Int)
	if !ok {
		return 0, words("a slice is cut with numbers, not with %s", article(v.Type()))
	}
	if i, err := starlark.AsInt32(n); err == nil {
		return i, nil
	}
	return n.Sign() * (1 << 30), nil
}
