package delivery

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"belfry/internal/sqldb"
)

// createMapping makes a mapping and answers its pk.
func (c *client) createMapping(body string) string {
	c.t.Helper()
	status, answer := c.call("POST", "/mappings/", body)
	if status != 201 {
		c.t.Fatalf("POST %s: %d %s", body, status, answer)
	}
	return strings.TrimPrefix(answer, `{"pk":"`)[:36]
}

// knownNames are those that expressions have without being assigned.
const knownNames = "abs, ak_is_group_member, ak_logger, ak_message, all, any, bool, chr, context, dict, enumerate, event, " +
	"filter, float, format, getattr, hasattr, int, ip_address, ip_network, isinstance, len, list, list_flatten, map, max, min, " +
	"notification, ord, print, range, regex_match, regex_replace, repr, request, reversed, round, set, slugify, sorted, str, sum, " +
	"tuple, type, user, zip"

const mappingTakenAnswer = `{"name":["Webhook Mapping with this name already exists."]}`

// What Terraform sends must come back; a newline at the end is all that it may lose.
func TestTerraformRoundTripOfAMapping(t *testing.T) {
	each(t, func(c *client) {
		pk := c.createMapping(`{"name":"m","expression":"if True:\n\treturn {\"a\": 1}\n","managed":"y"}`)
		path := "/mappings/" + pk + "/"
		answer := `{"pk":"` + pk + `","name":"m","expression":"if True:\n\treturn {\"a\": 1}"}`
		c.want("GET", path, "", 200, answer)
		c.want("PUT", path, `{"name":"m"}`, 400, `{"expression":["This field is required."]}`)
		c.want("PATCH", path, `{}`, 200, answer)
		c.want("PUT", path, `{"name":"n","expression":"return 2"}`, 200, `{"pk":"`+pk+`","name":"n","expression":"return 2"}`)
		c.want("PATCH", path, `{"expression":"return 3"}`, 200, `{"pk":"`+pk+`","name":"n","expression":"return 3"}`)
		c.want("GET", path, "", 200, `{"pk":"`+pk+`","name":"n","expression":"return 3"}`)
		c.want("DELETE", path, "", 204, "")
		c.want("GET", path, "", 404, `{"detail":"Not found."}`)
	})
}

func TestWhatIsWrongWithAMappingIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		c.createMapping(`{"name":"taken","expression":"return 1"}`)
		pk := c.createMapping(`{"name":"b","expression":"return 1"}`)
		path := "/mappings/" + pk + "/"
		for body, answer := range map[string]string{
			`{}`:                           `{"name":["This field is required."],"expression":["This field is required."]}`,
			`{"name":" ","expression":""}`: `{"name":["This field may not be blank."],"expression":["This field may not be blank."]}`,
			`{"name":"taken","expression":"return 1"}`:           mappingTakenAnswer,
			`{"name":"c","expression":"x = 1\nreturn [x for y"}`: `{"expression":["line 2, column 8: this [ is never closed"]}`,
			`{"name":"taken","expression":"import re"}`: `{"name":["Webhook Mapping with this name already exists."],` +
				`"expression":["line 1, column 1: import is not known here: regex_match(value, pattern) and regex_replace(value, pattern, replacement) are there without it"]}`,
			`{"name":"taken","expression":[]}`: `{"name":["Webhook Mapping with this name already exists."],"expression":["Not a valid string."]}`,
		} {
			c.want("POST", "/mappings/", body, 400, answer)
		}
		c.want("PATCH", path, `{"name":"taken"}`, 400, mappingTakenAnswer)
		c.want("PATCH", path, `{"expression":"return y"}`, 400, `{"expression":["line 1, column 8: undefined: y; known are `+knownNames+`"]}`)
		c.want("PATCH", path, `{"name":"b"}`, 200, `{"pk":"`+pk+`","name":"b","expression":"return 1"}`)
		for _, unknown := range []string{nobody, "zz"} {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				c.want(method, "/mappings/"+unknown+"/", `{`, 404, `{"detail":"Not found."}`)
			}
			c.want("GET", "/mappings/"+unknown+"/used_by/", "", 404, `{"detail":"Not found."}`)
		}
	})
}

func TestOneOfManyMappingsWithTheSameNameIsMade(t *testing.T) {
	each(t, func(c *client) {
		var made atomic.Int32
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				switch status, answer := c.call("POST", "/mappings/", `{"name":"n","expression":"return 1"}`); {
				case status == 201:
					made.Add(1)
				case status != 400 || answer != mappingTakenAnswer:
					t.Errorf("%d %s", status, answer)
				}
			})
		}
		wait.Wait()
		if made.Load() != 1 {
			t.Errorf("%d were made", made.Load())
		}
	})
}

func TestMappingsAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		c.createMapping(`{"name":"Body","expression":"return 2"}`)
		c.createMapping(`{"name":"headers","expression":"return 1 # Body"}`)
		for query, names := range map[string]string{
			"": "Body headers", "ordering=-name": "headers Body", "ordering=expression": "headers Body", "ordering=-pk": "headers Body",
			"name=Body": "Body", "name=body": "", "search=BODY": "Body", "search=e": "headers", "page_size=1&page=2": "headers",
		} {
			if got := c.namesAt("/mappings/?" + query); got != names {
				t.Errorf("%s: %q, want %q", query, got, names)
			}
		}
	})
}

func TestTransportPointsToMappingsUnderBothNames(t *testing.T) {
	each(t, func(c *client) {
		a := c.createMapping(`{"name":"a","expression":"return 1"}`)
		b := c.createMapping(`{"name":"b","expression":"return 1"}`)
		transport := c.create(`{"name":"t","webhook_mapping":"` + a + `","webhook_mapping_headers":"` + b + `"}`)
		path := "/transports/" + transport + "/"
		quote := func(pk string) string {
			if pk == "" {
				return "null"
			}
			return `"` + pk + `"`
		}
		shows := func(step, body, headers string) {
			t.Helper()
			want := `"webhook_mapping":` + quote(body) + `,"webhook_mapping_body":` + quote(body) +
				`,"send_once":false,"webhook_mapping_headers":` + quote(headers)
			for _, at := range []string{path, "/transports/"} {
				if _, answer := c.call("GET", at, ""); !strings.Contains(answer, want) {
					t.Errorf("%s: GET %s: %s, want %s", step, at, answer, want)
				}
			}
			var loaded Transport
			err := c.db.Read(t.Context(), func(tx *sqldb.Tx) error {
				all, err := LoadTransports(tx)
				loaded = all[transport]
				return err
			})
			if err != nil || text(loaded.BodyMapping) != body || text(loaded.HeadersMapping) != headers {
				t.Errorf("%s: loaded %+v, %v", step, loaded, err)
			}
		}
		shows("made", a, b)
		usedByTransport := `[{"app":"authentik_events","model_name":"notificationtransport",` +
			`"pk":"` + transport + `","name":"Notification Transport t","action":"set_default"}]`
		c.want("GET", "/mappings/"+a+"/used_by/", "", 200, usedByTransport)
		c.want("GET", "/mappings/"+b+"/used_by/", "", 200, usedByTransport)
		for _, step := range []struct{ body, mapping, headers string }{
			{`{"webhook_mapping_body":"` + b + `"}`, b, b},
			{`{"webhook_mapping":"` + b + `","webhook_mapping_body":"` + a + `"}`, a, b}, // the later name counts
			{`{"webhook_mapping_headers":""}`, a, ""},
			{`{"webhook_mapping":""}`, "", ""},
			{`{"webhook_mapping":"` + a + `","webhook_mapping_headers":"` + a + `"}`, a, a},
			{`{}`, a, a},
		} {
			if status, answer := c.call("PATCH", path, step.body); status != 200 {
				t.Errorf("%s: %d %s", step.body, status, answer)
			}
			shows(step.body, step.mapping, step.headers)
		}
		c.create(`{"name":"after"}`)
		c.want("GET", "/mappings/"+a+"/used_by/", "", 200, usedByTransport) // once, though it uses it twice
		c.want("GET", "/mappings/"+b+"/used_by/", "", 200, `[]`)
		if got := c.names("ordering=-webhook_mapping"); got != "t after" {
			t.Errorf("ordered by mapping: %s", got)
		}
		if got := c.names("ordering=webhook_mapping_headers"); got != "after t" {
			t.Errorf("ordered by mapping of headers: %s", got)
		}
		c.want("PATCH", path, `{"webhook_mapping":"`+nobody+`"}`, 400, `{"webhook_mapping":["Invalid pk \"`+nobody+`\" - object does not exist."]}`)
		c.want("DELETE", "/mappings/"+a+"/", "", 204, "")
		shows("deleted", "", "")
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestEveryChangeOfAMappingRaisesTheGeneration(t *testing.T) {
	each(t, func(c *client) {
		before := c.generation()
		raised := func(step string) {
			t.Helper()
			after := c.generation()
			if after <= before {
				t.Errorf("%s: generation %d after %d", step, after, before)
			}
			before = after
		}
		path := "/mappings/" + c.createMapping(`{"name":"a","expression":"return 1"}`) + "/"
		raised("POST")
		for _, step := range []struct{ method, body string }{{"PUT", `{"name":"b","expression":"return 2"}`}, {"PATCH", `{"expression":"return 3"}`}, {"DELETE", ""}} {
			if status, answer := c.call(step.method, path, step.body); status >= 300 {
				t.Fatalf("%s: %d %s", step.method, status, answer)
			}
			raised(step.method)
		}
	})
}
