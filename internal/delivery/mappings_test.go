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

const mappingTakenAnswer = `{"name":["Webhook Mapping with this name already exists."]}`

// What Terraform sends must come back; a newline at the end is all that it may lose.
func TestTerraformRoundTripOfAMapping(t *testing.T) {
	each(t, func(c *client) {
		pk := c.createMapping(`{"name":"m","expression":"x = 1\n\treturn {\"a\": x}\n","managed":"y"}`)
		path := "/mappings/" + pk + "/"
		answer := `{"pk":"` + pk + `","name":"m","expression":"x = 1\n\treturn {\"a\": x}"}`
		c.want("GET", path, "", 200, answer)
		c.want("PUT", path, `{"name":"m"}`, 400, `{"expression":["This field is required."]}`)
		c.want("PATCH", path, `{}`, 200, answer)
		c.want("PUT", path, `{"name":"n","expression":"y"}`, 200, `{"pk":"`+pk+`","name":"n","expression":"y"}`)
		c.want("PATCH", path, `{"expression":"z"}`, 200, `{"pk":"`+pk+`","name":"n","expression":"z"}`)
		c.want("GET", path, "", 200, `{"pk":"`+pk+`","name":"n","expression":"z"}`)
		c.want("DELETE", path, "", 204, "")
		c.want("GET", path, "", 404, `{"detail":"Not found."}`)
	})
}

func TestWhatIsWrongWithAMappingIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		c.createMapping(`{"name":"taken","expression":"x"}`)
		pk := c.createMapping(`{"name":"b","expression":"x"}`)
		path := "/mappings/" + pk + "/"
		for body, answer := range map[string]string{
			`{}`:                                `{"name":["This field is required."],"expression":["This field is required."]}`,
			`{"name":" ","expression":""}`:      `{"name":["This field may not be blank."],"expression":["This field may not be blank."]}`,
			`{"name":"taken","expression":"x"}`: mappingTakenAnswer,
			`{"name":"taken","expression":[]}`:  `{"name":["Webhook Mapping with this name already exists."],"expression":["Not a valid string."]}`,
		} {
			c.want("POST", "/mappings/", body, 400, answer)
		}
		c.want("PATCH", path, `{"name":"taken"}`, 400, mappingTakenAnswer)
		c.want("PATCH", path, `{"name":"b"}`, 200, `{"pk":"`+pk+`","name":"b","expression":"x"}`)
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
				switch status, answer := c.call("POST", "/mappings/", `{"name":"n","expression":"x"}`); {
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
		c.createMapping(`{"name":"Body","expression":"b"}`)
		c.createMapping(`{"name":"headers","expression":"a Body"}`)
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
		a := c.createMapping(`{"name":"a","expression":"x"}`)
		b := c.createMapping(`{"name":"b","expression":"x"}`)
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
		path := "/mappings/" + c.createMapping(`{"name":"a","expression":"x"}`) + "/"
		raised("POST")
		for _, step := range []struct{ method, body string }{{"PUT", `{"name":"b","expression":"y"}`}, {"PATCH", `{"expression":"z"}`}, {"DELETE", ""}} {
			if status, answer := c.call(step.method, path, step.body); status >= 300 {
				t.Fatalf("%s: %d %s", step.method, status, answer)
			}
			raised(step.method)
		}
	})
}
