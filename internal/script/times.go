package script

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// datetime is a time in UTC, with the part of Python's methods that messages need.
type datetime time.Time

func (d datetime) String() string        { return strings.Replace(d.isoformat(), "T", " ", 1) }
func (d datetime) Type() string          { return "datetime" }
func (d datetime) Freeze()               {}
func (d datetime) Truth() starlark.Bool  { return true }
func (d datetime) Hash() (uint32, error) { return uint32(time.Time(d).UnixMicro()), nil }

// CompareSameType orders by time.
func (d datetime) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	return ordered(op, time.Time(d).Compare(time.Time(other.(datetime)))), nil
}

// ordered is what op says of a comparison's outcome.
func ordered(op syntax.Token, outcome int) bool {
	switch op {
	case syntax.EQL:
		return outcome == 0
	case syntax.NEQ:
		return outcome != 0
	case syntax.LT:
		return outcome < 0
	case syntax.LE:
		return outcome <= 0
	case syntax.GT:
		return outcome > 0
	}
	return outcome >= 0
}

// isoformat leaves out a fraction of zero, as Python does.
func (d datetime) isoformat() string {
	layout := "2006-01-02T15:04:05-07:00"
	if time.Time(d).Nanosecond()/1000 != 0 {
		layout = "2006-01-02T15:04:05.000000-07:00"
	}
	return time.Time(d).Format(layout)
}

var datetimeParts = map[string]func(time.Time) int{
	"year": time.Time.Year, "month": func(t time.Time) int { return int(t.Month()) }, "day": time.Time.Day,
	"hour": time.Time.Hour, "minute": time.Time.Minute, "second": time.Time.Second,
	"microsecond": func(t time.Time) int { return t.Nanosecond() / 1000 },
}

// Attr is a part or a method.
func (d datetime) Attr(name string) (starlark.Value, error) {
	if part := datetimeParts[name]; part != nil {
		return starlark.MakeInt(part(time.Time(d))), nil
	}
	switch name {
	case "isoformat":
		return methodOf(name, func() (starlark.Value, error) { return starlark.String(d.isoformat()), nil }), nil
	case "timestamp":
		return methodOf(name, func() (starlark.Value, error) {
			return starlark.Float(float64(time.Time(d).UnixMicro()) / 1e6), nil
		}), nil
	case "weekday":
		return methodOf(name, func() (starlark.Value, error) {
			return starlark.MakeInt(int(time.Time(d).Weekday()+6) % 7), nil
		}), nil
	case "strftime":
		return bind(name, d, strftime), nil
	}
	return nil, nil
}

// AttrNames are the parts and methods.
func (d datetime) AttrNames() []string {
	return []string{"day", "hour", "isoformat", "microsecond", "minute", "month", "second", "strftime", "timestamp", "weekday", "year"}
}

func strftime(_ *meter, d datetime, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var format string
	if err := starlark.UnpackArgs("strftime", args, kwargs, "format", &format); err != nil {
		return nil, err
	}
	text, err := d.strftime(format)
	return starlark.String(text), err
}

// directives are Python's letters for the parts of a time, and Go's layouts.
var directives = map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM",
	'y': "06", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'j': "002", 'Z': "MST", 'z': "-0700",
	'F': "2006-01-02", 'T': "15:04:05"}

// strftime formats by Python's letters.
func (d datetime) strftime(format string) (string, error) {
	var w writer
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			w.write(format[i : i+1])
			continue
		}
		i++
		switch layout := directives[format[i]]; {
		case layout != "":
			w.write(time.Time(d).Format(layout))
		case format[i] == '%':
			w.write("%")
		case format[i] == 'f':
			w.write(fmt.Sprintf("%06d", time.Time(d).Nanosecond()/1000))
		default:
			return "", words("strftime does not know %%%c: it knows Y m d H I M S f p y b B a A j Z z F T", format[i])
		}
	}
	if w.over {
		return "", errLarge
	}
	return w.String(), nil
}

// address is an IP address, or the network of one; both come from texts.
type address struct{ netip.Prefix }

// isNetwork reports whether the address stands for more than itself.
func (a address) isNetwork() bool { return a.Bits() < a.Addr().BitLen() }

func (a address) String() string {
	if a.isNetwork() {
		return a.Prefix.String()
	}
	return a.Addr().String()
}

func (a address) Type() string          { return "IP address" }
func (a address) Freeze()               {}
func (a address) Truth() starlark.Bool  { return true }
func (a address) Hash() (uint32, error) { return starlark.String(a.String()).Hash() }

// CompareSameType knows == and !=.
func (a address) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	return ordered(op, strings.Compare(a.String(), other.(address).String())), nil
}

// Binary is "address in network".
func (a address) Binary(op syntax.Token, other starlark.Value, side starlark.Side) (starlark.Value, error) {
	part, ok := other.(address)
	if op != syntax.IN || side != starlark.Right || !ok {
		return nil, nil
	}
	return starlark.Bool(a.Bits() <= part.Bits() && a.Contains(part.Addr())), nil
}

// Attr is what can be asked of an address.
func (a address) Attr(name string) (starlark.Value, error) {
	ip := a.Addr()
	switch name {
	case "version":
		return starlark.MakeInt(4 + 2*b2i(ip.Is6())), nil
	case "is_private":
		return starlark.Bool(ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()), nil
	case "is_loopback":
		return starlark.Bool(ip.IsLoopback()), nil
	}
	return nil, nil
}

// AttrNames are what can be asked of an address.
func (a address) AttrNames() []string { return []string{"is_loopback", "is_private", "version"} }
