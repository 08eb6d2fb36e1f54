package delivery

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/script"
	"belfry/internal/sqldb"
	"belfry/internal/sqldb/sqldbtest"
	"belfry/internal/trail"

	"github.com/gorilla/mux"
)

// client speaks to the transports' part of the API over HTTP.
type client struct {
	t      *testing.T
	db     *sqldb.DB
	caller identity.Caller
	url    string
	api    *API

	mu        sync.Mutex // guards what follows, which handlers write: the trail, and what tests of transports leave
	rehearsed []script.Event
	inbox     []Inbox
	failed    []string // mappings
	trail     []trail.Change
}

// each runs test with a client of a superuser, on a fresh database of either kind.
func each(t *testing.T, test func(c *client)) {
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		c := &client{t: t, db: db, caller: identity.Caller{Superuser: true, Scopes: identity.ScopeAdmin}}
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		api := &API{DB: db, UsedBy: func(_ *sqldb.Tx, pk string) ([]drf.UsedBy, error) {
			return []drf.UsedBy{{App: "app", ModelName: "model", PK: pk, Name: "name", Action: "cascade_many"}}, nil
		}, Trail: func(_ *sqldb.Tx, _ *http.Request, change trail.Change) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.trail = append(c.trail, change)
			return nil
		}}
		c.api = api
		c.prepareTests(log)
		router := mux.NewRouter()
		handle := func(path string, methods map[string]func(http.ResponseWriter, *http.Request) error) {
			router.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				r = r.WithContext(identity.WithCaller(r.Context(), c.caller))
				if err := methods[r.Method](w, r); err != nil {
					drf.Fail(w, r, log, err)
				}
			})
		}
		handle("/transports/", map[string]func(http.ResponseWriter, *http.Request) error{
			"GET": api.ListTransports, "POST": api.CreateTransport,
		})
		handle("/transports/{uuid}/", map[string]func(http.ResponseWriter, *http.Request) error{
			"GET": api.GetTransport, "PUT": api.UpdateTransport, "PATCH": api.UpdateTransport, "DELETE": api.DeleteTransport,
		})
		handle("/transports/{uuid}/used_by/", map[string]func(http.ResponseWriter, *http.Request) error{
			"GET": api.TransportUsedBy,
		})
		handle("/transports/{uuid}/test/", map[string]func(http.ResponseWriter, *http.Request) error{"POST": api.TestTransport})
		handle("/deliveries/", map[string]func(http.ResponseWriter, *http.Request) error{"GET": api.ListDeliveries})
		handle("/deliveries/retry/", map[string]func(http.ResponseWriter, *http.Request) error{"POST": api.RetryDeliveries})
		handle("/deliveries/{uuid}/", map[string]func(http.ResponseWriter, *http.Request) error{"GET": api.GetDelivery})
		handle("/deliveries/{uuid}/retry/", map[string]func(http.ResponseWriter, *http.Request) error{"POST": api.RetryDelivery})
		handle("/deliveries/{uuid}/cancel/", map[string]func(http.ResponseWriter, *http.Request) error{"POST": api.CancelDelivery})
		handle("/mappings/", map[string]func(http.ResponseWriter, *http.Request) error{
			"GET": api.ListMappings, "POST": api.CreateMapping,
		})
		handle("/mappings/{pm_uuid}/", map[string]func(http.ResponseWriter, *http.Request) error{
			"GET": api.GetMapping, "PUT": api.UpdateMapping, "PATCH": api.UpdateMapping, "DELETE": api.DeleteMapping,
		})
		handle("/presets/", map[string]func(http.ResponseWriter, *http.Request) error{"GET": api.ListPresets})
		handle("/mappings/{pm_uuid}/used_by/", map[string]func(http.ResponseWriter, *http.Request) error{
			"GET": api.MappingUsedBy,
		})
		server := httptest.NewServer(router)
		t.Cleanup(server.Close)
		c.url = server.URL
		test(c)
	})
}

// call sends a request and answers its status and body. It may be called by any goroutine.
func (c *client) call(method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", "application/json")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Error(err)
		return 0, ""
	}
	return w.StatusCode, string(answer)
}

// want sends a request and compares status and body.
func (c *client) want(method, path, body string, status int, answer string) {
	c.t.Helper()
	gotStatus, got := c.call(method, path, body)
	if gotStatus != status || got != answer {
		c.t.Errorf("%s %s %s\n got %d %s\nwant %d %s", method, path, body, gotStatus, got, status, answer)
	}
}

// create makes a transport and answers its pk.
func (c *client) create(body string) string {
	c.t.Helper()
	status, answer := c.call("POST", "/transports/", body)
	if status != http.StatusCreated {
		c.t.Fatalf("POST %s: %d %s", body, status, answer)
	}
	return strings.TrimPrefix(answer, `{"pk":"`)[:36]
}

// names lists the transports of a query by name.
func (c *client) names(query string) string {
	c.t.Helper()
	return c.namesAt("/transports/?" + query)
}

// namesAt lists the objects of a page by name.
func (c *client) namesAt(path string) string {
	c.t.Helper()
	_, answer := c.call("GET", path, "")
	var names []string
	for _, part := range strings.Split(answer, `"name":"`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func (c *client) generation() (n int64) {
	c.t.Helper()
	err := c.db.Read(c.t.Context(), func(tx *sqldb.Tx) (err error) {
		n, err = identity.Generation(tx)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// asNew is how an answer ends that shows a transport which nobody disabled or gave a secret.
const asNew = `,"disabled_at":null,"disabled_reason":"","has_secret":false,"has_previous_secret":false}`

const nobody = "00000000-0000-4000-8000-000000000000"

func TestTransportIsAnsweredWithEveryFieldInOrder(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create(`{"name":"plain"}`)
		c.want("GET", "/transports/"+pk+"/", "", 200, `{"pk":"`+pk+`","name":"plain","mode":"local",`+
			`"mode_verbose":"authentik inbuilt notifications","webhook_url":"","webhook_mapping":null,`+
			`"webhook_mapping_body":null,"send_once":false,"webhook_mapping_headers":null,`+
			`"email_subject_prefix":"authentik Notification: ","email_template":"email/event_notification.html"`+asNew)
	})
}

func TestModeIsAnsweredWithItsLabel(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create(`{"name":"n","webhook_url":"http://localhost/"}`)
		for mode, label := range map[string]string{
			"local": "authentik inbuilt notifications", "webhook": "Generic Webhook",
			"webhook_slack": "Slack Webhook (Slack/Discord)", "email": "Email",
		} {
			_, answer := c.call("PATCH", "/transports/"+pk+"/", `{"mode":"`+mode+`","webhook_url":"http://localhost/"}`)
			if !strings.Contains(answer, `"mode":"`+mode+`","mode_verbose":"`+label+`"`) {
				t.Errorf("%s: %s", mode, answer)
			}
		}
	})
}

// What Terraform sends must come back as it was sent, or the next plan shows a change.
func TestTerraformRoundTrip(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create(`{"name":"t","mode":"webhook_slack","send_once":true,"webhook_url":"https://discord.com/....","webhook_mapping":""}`)
		stored := func(mode, url, once string) string {
			labels := map[string]string{"local": "authentik inbuilt notifications", "webhook_slack": "Slack Webhook (Slack/Discord)"}
			return `{"pk":"` + pk + `","name":"t","mode":"` + mode + `","mode_verbose":"` + labels[mode] + `","webhook_url":"` + url + `",` +
				`"webhook_mapping":null,"webhook_mapping_body":null,"send_once":` + once + `,"webhook_mapping_headers":null,` +
				`"email_subject_prefix":"authentik Notification: ","email_template":"email/event_notification.html"` + asNew
		}
		path := "/transports/" + pk + "/"
		c.want("GET", path, "", 200, stored("webhook_slack", "https://discord.com/....", "true"))
		c.want("PUT", path, `{"name":"t","mode":"local","send_once":false,"webhook_url":"","webhook_mapping":""}`, 200, stored("local", "", "false"))
		c.want("GET", path, "", 200, stored("local", "", "false"))
		c.want("DELETE", path, "", 204, "")
		c.want("GET", path, "", 404, `{"detail":"Not found."}`)
	})
}

func TestPutKeepsWhatItLeavesOut(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create(`{"name":"a","mode":"webhook","webhook_url":"http://localhost/","send_once":true,"email_subject_prefix":"","email_template":"x.html"}`)
		_, before := c.call("GET", "/transports/"+pk+"/", "")
		c.want("PUT", "/transports/"+pk+"/", `{"name":"b"}`, 200, strings.Replace(before, `"name":"a"`, `"name":"b"`, 1))
		c.want("PUT", "/transports/"+pk+"/", `{}`, 400, `{"name":["This field is required."]}`)
		c.want("PATCH", "/transports/"+pk+"/", `{}`, 200, strings.Replace(before, `"name":"a"`, `"name":"b"`, 1))
	})
}

func TestWhatIsWrongWithATransportIsSaidFieldByField(t *testing.T) {
	each(t, func(c *client) {
		c.create(`{"name":"taken"}`)
		for body, answer := range map[string]string{
			``:                                       `{"name":["This field is required."]}`,
			`{"name":null}`:                          `{"name":["This field may not be null."]}`,
			`{"name":" "}`:                           `{"name":["This field may not be blank."]}`,
			`{"name":" taken "}`:                     `{"name":["Notification Transport with this name already exists."]}`,
			`{"name":"n","mode":"zzz"}`:              `{"mode":["\"zzz\" is not a valid choice."]}`,
			`{"name":"n","send_once":"zz"}`:          `{"send_once":["Must be a valid boolean."]}`,
			`{"name":"n","webhook_url":"localhost"}`: `{"webhook_url":["Enter a valid URL."]}`,
			`{"name":"n","mode":"webhook"}`:          `{"webhook_url":["Webhook URL may not be empty."]}`,
			`{"name":"n","mode":"webhook_slack","webhook_url":""}`:                      `{"webhook_url":["Webhook URL may not be empty."]}`,
			`{"name":"n","mode":"webhook","webhook_url":"","send_once":1.5}`:            `{"send_once":["Must be a valid boolean."]}`,
			`{"name":"n","webhook_mapping":"zz"}`:                                       `{"webhook_mapping":["“zz” is not a valid UUID."]}`,
			`{"name":"n","webhook_mapping":"` + nobody + `"}`:                           `{"webhook_mapping":["Invalid pk \"` + nobody + `\" - object does not exist."]}`,
			`{"name":"n","webhook_mapping":"","webhook_mapping_body":"` + nobody + `"}`: `{"webhook_mapping_body":["Invalid pk \"` + nobody + `\" - object does not exist."]}`,
			`{"name":"taken","mode":"zzz","webhook_mapping_headers":"` + nobody + `"}`:  `{"name":["Notification Transport with this name already exists."],"mode":["\"zzz\" is not a valid choice."],"webhook_mapping_headers":["Invalid pk \"` + nobody + `\" - object does not exist."]}`,
			`[]`: `{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}`,
		} {
			c.want("POST", "/transports/", body, 400, answer)
		}
		if names := c.names(""); names != "taken" {
			t.Errorf("there are transports %q", names)
		}
	})
}

func TestOnlyTheRequestSaysWhetherAURLIsMissing(t *testing.T) {
	each(t, func(c *client) {
		path := "/transports/" + c.create(`{"name":"n","mode":"webhook","webhook_url":"http://localhost/"}`) + "/"
		c.want("PATCH", path, `{"mode":"webhook"}`, 400, `{"webhook_url":["Webhook URL may not be empty."]}`)
		if status, answer := c.call("PATCH", path, `{"webhook_url":""}`); status != 200 || !strings.Contains(answer, `"webhook_url":""`) {
			t.Errorf("%d %s", status, answer)
		}
	})
}

func TestUnknownTransportIsSaidBeforeAnythingAboutTheBody(t *testing.T) {
	each(t, func(c *client) {
		for _, pk := range []string{nobody, "zz"} {
			for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
				c.want(method, "/transports/"+pk+"/", `{`, 404, `{"detail":"Not found."}`)
			}
			c.want("GET", "/transports/"+pk+"/used_by/", "", 404, `{"detail":"Not found."}`)
		}
		pk := c.create(`{"name":"n"}`)
		if status, answer := c.call("PUT", "/transports/"+pk+"/", `{`); status != 400 || !strings.Contains(answer, "JSON parse error") {
			t.Errorf("%d %s", status, answer)
		}
	})
}

func TestNameIsUniqueButMayBeSentAgain(t *testing.T) {
	each(t, func(c *client) {
		a := "/transports/" + c.create(`{"name":"a"}`) + "/"
		c.create(`{"name":"b"}`)
		if status, answer := c.call("PUT", a, `{"name":"a"}`); status != 200 {
			t.Errorf("own name: %d %s", status, answer)
		}
		c.want("PATCH", a, `{"name":"b"}`, 400, `{"name":["Notification Transport with this name already exists."]}`)
	})
}

func TestOneOfManyTransportsWithTheSameNameIsMade(t *testing.T) {
	each(t, func(c *client) {
		var made atomic.Int32
		var wait sync.WaitGroup
		for range 16 {
			wait.Go(func() {
				switch status, answer := c.call("POST", "/transports/", `{"name":"n"}`); {
				case status == 201:
					made.Add(1)
				case status != 400 || answer != `{"name":["Notification Transport with this name already exists."]}`:
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

func TestTransportsAreFilteredSearchedAndOrdered(t *testing.T) {
	each(t, func(c *client) {
		c.create(`{"name":"Bell","mode":"local"}`)
		c.create(`{"name":"chat","mode":"webhook_slack","webhook_url":"http://chat.example/X","send_once":true}`)
		c.create(`{"name":"app","mode":"webhook","webhook_url":"http://app.example/"}`)
		for query, names := range map[string]string{
			"":                                  "Bell app chat",
			"ordering=-name":                    "chat app Bell",
			"ordering=send_once,-name":          "app Bell chat",
			"ordering=mode":                     "Bell app chat",
			"ordering=-webhook_url":             "chat app Bell",
			"ordering=zzz":                      "Bell app chat",
			"name=chat":                         "chat",
			"name=CHAT":                         "",
			"mode=webhook":                      "app",
			"send_once=true":                    "chat",
			"webhook_url=http://app.example/":   "app",
			"search=WEBHOOK":                    "app chat",
			"search=example,x":                  "app chat",
			"search=example+%2Fx":               "chat",
			"search=bell":                       "Bell",
			"search=webhook&page_size=1&page=2": "chat",
			"search=webhook&page_size=1":        "app",
			"page_size=2&page=last":             "chat",
			"search=zzz":                        "",
		} {
			if got := c.names(query); got != names {
				t.Errorf("%s: %q, want %q", query, got, names)
			}
		}
		c.want("GET", "/transports/?page=2", "", 404, `{"detail":"Invalid page."}`)
		c.want("GET", "/transports/?mode=zzz", "", 400, `{"mode":["Select a valid choice. zzz is not one of the available choices."]}`)
		_, answer := c.call("GET", "/transports/?search=webhook&page_size=1", "")
		if want := `{"pagination":{"next":2,"previous":0,"count":2,"current":1,"total_pages":2,"start_index":1,"end_index":1}`; !strings.HasPrefix(answer, want) {
			t.Errorf("pagination: %s", answer)
		}
	})
}

func TestURLIsHiddenFromThoseWhoMayNotChangeTransports(t *testing.T) {
	each(t, func(c *client) {
		a := c.create(`{"name":"a","mode":"webhook","webhook_url":"http://z.example/secret"}`)
		c.create(`{"name":"b","mode":"webhook","webhook_url":"http://a.example/"}`)
		for _, caller := range []identity.Caller{
			{Superuser: true, Scopes: identity.ScopeRead}, {Scopes: identity.ScopeAdmin}, {},
		} {
			c.caller = caller
			for _, path := range []string{"", a + "/"} {
				if status, answer := c.call("GET", "/transports/"+path, ""); status != 200 || strings.Contains(answer, "example") {
					t.Errorf("%+v %q: %d %s", caller, path, status, answer)
				}
			}
			for query, names := range map[string]string{
				"webhook_url=http://z.example/secret": "", "search=secret": "", "ordering=webhook_url,name": "a b", "ordering=-webhook_url": "b a",
			} {
				if got := c.names(query); got != names {
					t.Errorf("%+v %s: %q, want %q", caller, query, got, names)
				}
			}
		}
	})
}

func TestUsedByIsWhatTheRootKnows(t *testing.T) {
	each(t, func(c *client) {
		pk := c.create(`{"name":"a"}`)
		c.want("GET", "/transports/"+pk+"/used_by/", "", 200,
			`[{"app":"app","model_name":"model","pk":"`+pk+`","name":"name","action":"cascade_many"}]`)
	})
}

func TestEveryChangeOfATransportRaisesTheGeneration(t *testing.T) {
	each(t, func(c *client) {
		before := c.generation()
		pk := c.create(`{"name":"a"}`)
		for _, step := range []struct{ method, body string }{{"PUT", `{"name":"b"}`}, {"PATCH", `{"send_once":true}`}, {"DELETE", ""}} {
			after := c.generation()
			if after <= before {
				t.Errorf("before %s: generation %d after %d", step.method, after, before)
			}
			before = after
			if status, answer := c.call(step.method, "/transports/"+pk+"/", step.body); status >= 300 {
				t.Fatalf("%s: %d %s", step.method, status, answer)
			}
		}
		if after := c.generation(); after <= before {
			t.Errorf("after DELETE: generation %d after %d", after, before)
		}
	})
}

func TestSeedMakesTheTransportsThatAuthentikShips(t *testing.T) {
	each(t, func(c *client) {
		var all map[string]Transport
		var missing []string
		var email, local string
		err := c.db.Write(t.Context(), func(tx *sqldb.Tx) (err error) {
			missing = nil
			if email, local, err = Seed(tx); err != nil {
				return err
			}
			if all, err = LoadTransports(tx); err != nil {
				return err
			}
			for _, pks := range [][]string{nil, {email, local}, {email, nobody, "zz"}} {
				pk, err := MissingTransport(tx, pks)
				if err != nil {
					return err
				}
				missing = append(missing, pk)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != 2 || all[email].Mode != ModeEmail || all[email].Name != "default-email-transport" ||
			all[local].Mode != ModeLocal || all[local].Name != "default-local-transport" || all[email].SendOnce || all[local].SendOnce {
			t.Errorf("seeded %+v", all)
		}
		if strings.Join(missing, ",") != ",,"+nobody {
			t.Errorf("missing %q", missing)
		}
	})
}
