package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"belfry/internal/drf"
)

// checkReply says what is wrong with an answer as such.
func checkReply(r *generated, a reply) error {
	contentType := a.header.Get("Content-Type")
	if fromGo := (a.status == 400 || a.status == 431) && strings.HasPrefix(contentType, "text/plain"); fromGo && (r.method == "HEAD" || strings.HasPrefix(a.text, strconv.Itoa(a.status)+" ")) {
		return nil // net/http refused it before Belfry saw it
	}
	page := r.route == nil && a.header.Get("Content-Security-Policy") != "" // whose files are served with all that HTTP has
	if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Cache-Control") != "no-store" && !page {
		return errors.New("the headers of every answer are missing")
	}
	switch {
	case page:
		return nil
	case a.status == 301 || a.status == 308:
		if (a.status == 301) != !mutates(r.method) || !strings.HasPrefix(a.header.Get("Location"), "/") || strings.HasPrefix(a.header.Get("Location"), "//") {
			return fmt.Errorf("a redirect of %s to %q", r.method, a.header.Get("Location"))
		}
		return nil
	case r.method == "HEAD":
		if a.text != "" {
			return errors.New("an answer to HEAD with a body")
		}
		return nil
	case a.status == 204:
		if a.text != "" || contentType != "" {
			return errors.New("a 204 with a body")
		}
		return nil
	case a.status == 200 && strings.Contains(r.path, "/schema") && (strings.HasPrefix(contentType, "application/vnd.oai.openapi") || strings.HasPrefix(contentType, "application/yaml")):
		return nil // the description, in one of its forms
	case contentType != "application/json":
		return fmt.Errorf("Content-Type is %q", contentType)
	case a.header.Get("Content-Length") != strconv.Itoa(len(a.text)):
		return fmt.Errorf("Content-Length is %q of %d", a.header.Get("Content-Length"), len(a.text))
	case !jsontext.Value(a.text).IsValid():
		return errors.New("no valid JSON")
	case a.status >= 400:
		return checkRefusal(decoded(a.text))
	case a.status != 200 && a.status != 201:
		return errors.New("an unexpected status")
	case r.method == "OPTIONS":
		return nil
	case r.route == nil:
		return nil // what was answered is not known
	}
	return checkContent(r, a)
}

// mutates reports whether a redirect has to keep the method.
func mutates(method string) bool { return method != "GET" && method != "HEAD" }

// decoded is a JSON text with its numbers as they are written.
func decoded(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return err
	}
	return v
}

// checkRefusal wants a sentence, or lists of sentences by field.
func checkRefusal(v any) error {
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 {
		return errors.New("a refusal that is no object")
	}
	if detail, ok := object["detail"].(string); ok && len(object) == 1 && detail != "" {
		return nil
	}
	for name, value := range object {
		switch value := value.(type) {
		case []any:
			if len(value) == 0 {
				return fmt.Errorf("no message for %s", name)
			}
			for _, message := range value {
				if text, ok := message.(string); !ok || text == "" {
					return fmt.Errorf("a message for %s that is no text", name)
				}
			}
		case map[string]any:
			if err := checkRefusal(value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		default:
			return fmt.Errorf("%s is neither a list nor an object", name)
		}
	}
	return nil
}

// checkContent wants what the route's kind says.
func checkContent(r *generated, a reply) error {
	v := decoded(a.text)
	k := r.kind
	switch {
	case k.plain != nil:
		return checkItems(v, k.plain, chartShape, historyShape)
	case k.list != nil && r.method == "GET":
		return checkPage(v, k.object)
	case k.object != nil:
		sh := k.object
		if a.status == 201 && k.created != nil {
			sh = k.created
		}
		if (a.status == 201) != (r.method == "POST" && !k.asks && !k.acts) {
			return fmt.Errorf("%d as the answer to %s", a.status, r.method)
		}
		return checkObject(v, sh)
	case k.any:
		if _, ok := v.(map[string]any); !ok {
			return errors.New("no object")
		}
		return nil
	}
	return errors.New("an answer with a body where none is known")
}

// checkItems wants a list of objects of a shape; a chart has one of two.
func checkItems(v any, sh, chart, history *drf.Shape) error {
	list, ok := v.([]any)
	if !ok {
		return errors.New("no list")
	}
	for i, item := range list {
		err := checkObject(item, sh)
		if err != nil && sh == chart {
			err = checkObject(item, history)
		}
		if err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}

// checkPage wants an envelope whose numbers agree with each other and with the rows.
func checkPage(v any, sh *drf.Shape) error {
	envelope, _ := v.(map[string]any)
	pagination, _ := envelope["pagination"].(map[string]any)
	results, ok := envelope["results"].([]any)
	if _, has := envelope["autocomplete"].(map[string]any); !ok || !has || len(envelope) != 3 || len(pagination) != 7 {
		return errors.New("not the envelope of a list")
	}
	n := map[string]int64{}
	for _, name := range []string{"next", "previous", "count", "current", "total_pages", "start_index", "end_index"} {
		number, _ := pagination[name].(json.Number)
		value, err := number.Int64()
		if err != nil || value < 0 {
			return fmt.Errorf("pagination.%s: %v", name, pagination[name])
		}
		n[name] = value
	}
	rows := int64(len(results))
	switch {
	case n["previous"] != n["current"]-1,
		n["next"] != 0 && (n["next"] != n["current"]+1 || n["count"] <= n["end_index"]),
		n["next"] == 0 && n["count"] != n["end_index"],
		rows > 0 && n["end_index"]-n["start_index"]+1 != rows,
		rows == 0 && (n["start_index"] != 0 || n["count"] != 0),
		n["total_pages"] < max(n["current"], n["next"]), rows > 1000:
		return fmt.Errorf("the pagination contradicts itself: %v for %d rows", n, rows)
	}
	for i, row := range results {
		if err := checkObject(row, sh); err != nil {
			return fmt.Errorf("results.%d: %w", i, err)
		}
	}
	return nil
}

// checkObject wants every field of the shape, with its type, and nothing else.
func checkObject(v any, sh *drf.Shape) error {
	object, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("no object: %T", v)
	}
	rest := maps.Clone(object)
	for i := range sh.Fields {
		info := &sh.Fields[i]
		for _, name := range []string{info.Name, info.Alias} {
			if name == "" || info.WriteOnly {
				continue
			}
			value, there := object[name]
			if !there {
				return fmt.Errorf("%s is missing", name)
			}
			if err := checkValue(value, info); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			delete(rest, name)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("nobody knows %v", slices.Sorted(maps.Keys(rest)))
	}
	return nil
}

// checkValue wants a value of the field's type.
func checkValue(v any, info *drf.Info) error {
	wrong := fmt.Errorf("%v is no %s %s", v, info.Type, info.Format)
	if v == nil {
		if info.Nullable || info.Ref != nil {
			return nil
		}
		return wrong
	}
	ok := true
	switch info.Type {
	case "string":
		var s string
		if s, ok = v.(string); ok {
			ok = fits(s, info)
		}
	case "boolean":
		_, ok = v.(bool)
	case "integer":
		var number json.Number
		if number, ok = v.(json.Number); ok {
			n, err := number.Int64()
			ok = err == nil && (info.Min == nil || n >= *info.Min) && (info.Max == nil || n <= *info.Max)
		}
	case "object":
		if sh := info.Ref; sh != nil {
			return checkObject(v, sh)
		}
		_, ok = v.(map[string]any)
	case "array":
		list, isList := v.([]any)
		ok = isList
		for _, item := range list {
			if err := checkValue(item, info.Items); err != nil {
				return err
			}
		}
	}
	if !ok {
		return wrong
	}
	return nil
}

var canonicalUUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// fits reports whether text is what the field's format says.
func fits(s string, info *drf.Info) bool {
	switch {
	case strings.Contains(s, "\x00"):
		return false
	case info.Choices != nil:
		return info.Choices.Has(s)
	}
	switch info.Format {
	case "uuid":
		return canonicalUUID.MatchString(s)
	case "date-time":
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil && strings.HasSuffix(s, "Z")
	case "ip":
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	return true
}

// checkKept wants an accepted body to be returned exactly, as far as its values have one spelling.
func checkKept(sent, answered string, sh *drf.Shape) error {
	var from, to map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(sent), &from), json.Unmarshal([]byte(answered), &to)); err != nil {
		return nil // an empty body
	}
	for i := range sh.Fields {
		info := &sh.Fields[i]
		raw, there := from[info.Name]
		if later, has := from[info.Alias]; has && info.Alias != "" {
			raw, there = later, true
		}
		if _, both := from["parents"]; !there || info.ReadOnly || info.WriteOnly || info.Name == "parent" && both {
			continue
		}
		if !kept(string(raw), string(to[info.Name]), info) {
			return fmt.Errorf("%s was sent as %s and is %s", info.Name, raw, to[info.Name])
		}
	}
	return nil
}

// kept reports whether an answered value is the one that was sent. What is sent in one of several spellings, such
// as a uuid in braces, passes.
func kept(sent, answered string, info *drf.Info) bool {
	value := decoded(sent)
	switch v := value.(type) {
	case nil:
		return answered == "null" || info.Name == "expires" // whose null stands for the default
	case bool:
		return info.Type != "boolean" || answered == strconv.FormatBool(v)
	case string:
		return keptText(v, answered, info)
	}
	switch {
	case info.Ref != nil:
		return checkKept(sent, answered, info.Ref) == nil
	case info.Type == "" || info.Type == "object":
		return sameTokens(sent, answered)
	case info.Type == "integer":
		n, err := strconv.ParseInt(sent, 10, 64)
		return err != nil || answered == strconv.FormatInt(n, 10)
	}
	return true
}

func keptText(sent, answered string, info *drf.Info) bool {
	if info.Type == "" {
		return sameTokens(quote(sent), answered)
	}
	if info.Type != "string" {
		return true
	}
	if !info.KeepSpace && info.Choices == nil {
		sent = strings.TrimFunc(sent, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
	}
	back, _ := decoded(answered).(string)
	switch info.Format {
	case "uuid":
		return !canonicalUUID.MatchString(sent) || back == sent
	case "date-time":
		at, err := time.Parse(time.RFC3339Nano, sent)
		was, _ := time.Parse(time.RFC3339Nano, back)
		return err != nil || at.Truncate(time.Microsecond).Equal(was)
	case "ip":
		return true
	}
	return back == sent
}

// sameTokens compares two JSON texts, in which white space and escapes do not count.
func sameTokens(a, b string) bool {
	left, right := jsontext.NewDecoder(strings.NewReader(a)), jsontext.NewDecoder(bytes.NewBufferString(b))
	for {
		l, errLeft := left.ReadToken()
		if errLeft != nil {
			_, errRight := right.ReadToken()
			return errLeft == io.EOF && errRight == io.EOF
		}
		text, kind := l.String(), l.Kind()
		r, errRight := right.ReadToken()
		if errRight != nil || r.Kind() != kind || r.String() != text {
			return false
		}
	}
}
