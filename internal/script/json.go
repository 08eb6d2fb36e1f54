package script

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.starlark.net/starlark"
)

// fromJSON is a JSON document as an expression sees it; objects keep the order of their names.
func fromJSON(raw json.RawMessage) (starlark.Value, error) {
	decoder := jsontext.NewDecoder(bytes.NewReader(raw))
	v, err := readJSON(decoder)
	if err != nil {
		return nil, words("the data of this expression are no JSON: %w", err)
	}
	return v, nil
}

func readJSON(decoder *jsontext.Decoder) (starlark.Value, error) {
	token, err := decoder.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case jsontext.KindTrue, jsontext.KindFalse:
		return starlark.Bool(token.Bool()), nil
	case jsontext.KindString:
		return starlark.String(token.String()), nil
	case jsontext.KindNumber:
		return number(token.String())
	case jsontext.KindBeginArray:
		return readArray(decoder)
	case jsontext.KindBeginObject:
		return readObject(decoder)
	}
	return starlark.None, nil
}

// number is an int where it is written as one.
func number(text string) (starlark.Value, error) {
	if !strings.ContainsAny(text, ".eE") {
		if n, ok := new(big.Int).SetString(text, 10); ok {
			return starlark.MakeBigInt(n), nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	return starlark.Float(f), err
}

func readArray(decoder *jsontext.Decoder) (starlark.Value, error) {
	var elements []starlark.Value
	for decoder.PeekKind() != jsontext.KindEndArray {
		v, err := readJSON(decoder)
		if err != nil {
			return nil, err
		}
		elements = append(elements, v)
	}
	_, err := decoder.ReadToken()
	return starlark.NewList(elements), err
}

func readObject(decoder *jsontext.Decoder) (starlark.Value, error) {
	d := starlark.NewDict(0)
	for decoder.PeekKind() != jsontext.KindEndObject {
		name, err := readJSON(decoder)
		if err != nil {
			return nil, err
		}
		v, err := readJSON(decoder)
		if err != nil {
			return nil, err
		}
		if err := d.SetKey(name, v); err != nil {
			return nil, err
		}
	}
	_, err := decoder.ReadToken()
	return d, err
}

var (
	errOutput = words("what is returned has more than 64 KiB of JSON")
	errDeep   = words("what is returned is nested deeper than 64")
)

// maxDepth is how deep what is returned may be nested: as deep as what may be posted.
const maxDepth = 64

// toJSON writes what an expression returned as compact JSON.
func toJSON(v starlark.Value) ([]byte, error) {
	var out bytes.Buffer
	if err := writeJSON(&out, v, 0); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeJSON(out *bytes.Buffer, v starlark.Value, depth int) error {
	if out.Len() > MaxInput {
		return errOutput
	}
	if depth > maxDepth {
		return errDeep
	}
	switch v := v.(type) {
	case starlark.NoneType:
		out.WriteString("null")
	case starlark.Bool:
		out.WriteString(strings.ToLower(v.String()))
	case starlark.Int:
		out.WriteString(v.String())
	case starlark.Float:
		return writeFloat(out, v)
	case starlark.String:
		return writeText(out, string(v))
	case *starlark.Dict:
		return writeObject(out, v, depth)
	case *object:
		if v.document == nil {
			return words("%s cannot be returned: return its parts", article(v.kind))
		}
		return writeJSON(out, v.document, depth)
	case datetime:
		return writeText(out, v.isoformat())
	case address:
		return writeText(out, v.String())
	case starlark.Iterable:
		return writeArray(out, v, depth)
	default:
		return words("%s cannot be returned: only what JSON knows can", article(v.Type()))
	}
	if out.Len() > MaxInput {
		return errOutput
	}
	return nil
}

func writeFloat(out *bytes.Buffer, f starlark.Float) error {
	text := floatText(float64(f))
	if strings.HasSuffix(text, "inf") || text == "nan" {
		return words("the number %s cannot be returned: JSON has no such number", text)
	}
	out.WriteString(text)
	return nil
}

func writeText(out *bytes.Buffer, text string) error {
	if len(text) > MaxInput {
		return errOutput
	}
	quoted, err := jsontext.AppendQuote(out.AvailableBuffer(), text)
	if err != nil {
		return words("a text that is not valid UTF-8 cannot be returned")
	}
	out.Write(quoted)
	if out.Len() > MaxInput {
		return errOutput
	}
	return nil
}

func writeArray(out *bytes.Buffer, values starlark.Iterable, depth int) error {
	out.WriteByte('[')
	first := true
	for e := range starlark.Elements(values) {
		if !first {
			out.WriteByte(',')
		}
		first = false
		if err := writeJSON(out, e, depth+1); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, "]")
	return err
}

func writeObject(out *bytes.Buffer, d *starlark.Dict, depth int) error {
	out.WriteByte('{')
	seen := make(map[string]bool, d.Len())
	for i, item := range d.Items() {
		name, err := nameOf(item[0])
		if err != nil {
			return err
		}
		if seen[name] {
			return words("a dict that is returned has the key %s twice: once as a text", quote(name))
		}
		seen[name] = true
		if i > 0 {
			out.WriteByte(',')
		}
		if err := writeText(out, name); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := writeJSON(out, item[1], depth+1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// nameOf is a key of a dict as a name of a JSON object, as Python's json has it.
func nameOf(key starlark.Value) (string, error) {
	switch key := key.(type) {
	case starlark.String:
		return string(key), nil
	case starlark.Bool:
		return strings.ToLower(key.String()), nil
	case starlark.NoneType:
		return "null", nil
	case starlark.Int:
		return key.String(), nil
	case starlark.Float:
		return floatText(float64(key)), nil
	}
	return "", words("a key of a dict that is returned is to be a string, not %s", article(key.Type()))
}
