package acceptance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// clientModule is the official client; its module holds the official description too.
const clientModule = "goauthentik.io/api/v3"

// official is the official description of the API, amended in memory. As an
// http.RoundTripper it holds every call against that description and counts it.
type official struct {
	router  routers.Router
	request *openapi3filter.Options
	answer  *openapi3filter.Options
	generic *openapi3.Schema // the schema of an answer to what the description does not know
	covered *coverage
	own     *official // Belfry's description of itself, which answers must follow too; nil for none
}

// amendment is one place where the API is known to do otherwise than its description says.
type amendment struct {
	what  string
	apply func(*openapi3.T)
}

// laterActions came after 2024.6; all of them are accepted and shown.
var laterActions = []any{
	"user_offboarded", "configuration_warning", "export_ready", "review_initiated", "review_overdue",
	"review_attested", "review_completed", "access_request_created", "access_request_approved",
	"access_request_denied", "access_request_revoked",
}

// undocumented are the statuses that the API sends everywhere and its description hardly names.
var undocumented = []int{
	http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusRequestEntityTooLarge,
	http.StatusUnsupportedMediaType, http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

// amendments is the whole list of what is changed in the description before it judges anything.
var amendments = []amendment{
	{"Notification.event may be null", nullable("Notification", "event")},
	{"NotificationRule.group_obj may be null", nullable("NotificationRule", "group_obj")},
	{"PolicyBinding.policy_obj, .group_obj and .user_obj may be null",
		nullable("PolicyBinding", "policy_obj", "group_obj", "user_obj")},
	{"EventActions (Event, EventRequest, PatchedEventRequest, event matchers): also ^custom_[a-z0-9_]+$ and the 11 later names",
		widenActions},
	{"events_events_volume_list: also the later items {time, action, count}", laterVolume},
	{"events_events_stats_retrieve: the operation of 2026.8", laterStats},
	{"every operation: also 404, 405, 406, 413, 415, 429 and 503, with a GenericError", documentStatuses},
}

// readings are no amendments but how this run reads what the description leaves open.
var readings = []string{
	"the examples of the file are not judged: several of its own are not legal values (an enum of null)",
	"formats email and uri admit the empty string, which is how the API writes that there is none",
	"format uuid is 36 characters of lower-case hexadecimal with dashes, in answers format date-time is UTC with a Z",
}

func nullable(schema string, properties ...string) func(*openapi3.T) {
	return func(doc *openapi3.T) {
		in := doc.Components.Schemas[schema].Value.Properties
		for _, name := range properties {
			in[name] = &openapi3.SchemaRef{Value: &openapi3.Schema{
				Nullable: true, AllOf: openapi3.SchemaRefs{in[name]},
			}}
		}
	}
}

func widenActions(doc *openapi3.T) {
	actions := doc.Components.Schemas["EventActions"].Value
	named := openapi3.NewStringSchema().WithEnum(append(actions.Enum, laterActions...)...)
	custom := openapi3.NewStringSchema().WithPattern("^custom_[a-z0-9_]+$")
	*actions = *openapi3.NewAnyOfSchema(named, custom)
}

func laterVolume(doc *openapi3.T) {
	items := doc.Paths.Value("/events/events/volume/").Get.Responses.Status(http.StatusOK).
		Value.Content["application/json"].Schema.Value.Items
	later := openapi3.NewObjectSchema().WithRequired([]string{"time", "action", "count"}).
		WithProperty("time", openapi3.NewDateTimeSchema()).
		WithProperty("count", openapi3.NewIntegerSchema())
	later.Properties["action"] = doc.Components.Schemas["EventActions"]
	items.Value = &openapi3.Schema{AnyOf: openapi3.SchemaRefs{{Value: items.Value}, {Value: later}}}
	items.Ref = ""
}

func laterStats(doc *openapi3.T) {
	volume := doc.Paths.Value("/events/events/volume/").Get
	stats := *volume
	stats.OperationID = "events_events_stats_retrieve"
	steps := openapi3.NewQueryParameter("count_steps").WithRequired(true).
		WithSchema(openapi3.NewArraySchema().WithItems(openapi3.NewStringSchema()))
	stats.Parameters = append(slices.Clone(volume.Parameters), &openapi3.ParameterRef{Value: steps})
	answer := openapi3.NewObjectSchema().WithRequired([]string{"unique_users", "count_step"}).
		WithProperty("unique_users", openapi3.NewIntegerSchema()).
		WithProperty("count_step", openapi3.NewObjectSchema().WithAdditionalProperties(openapi3.NewIntegerSchema()))
	stats.Responses = openapi3.NewResponses(
		openapi3.WithStatus(http.StatusOK, &openapi3.ResponseRef{Value: openapi3.NewResponse().WithDescription("").WithJSONSchema(answer)}),
		openapi3.WithStatus(http.StatusBadRequest, volume.Responses.Status(http.StatusBadRequest)),
		openapi3.WithStatus(http.StatusForbidden, volume.Responses.Status(http.StatusForbidden)))
	doc.Paths.Set("/events/events/stats/", &openapi3.PathItem{Get: &stats})
}

func documentStatuses(doc *openapi3.T) {
	content := openapi3.NewContentWithJSONSchemaRef(doc.Components.Schemas["GenericError"])
	for _, path := range doc.Paths.InMatchingOrder() {
		for _, operation := range doc.Paths.Value(path).Operations() {
			for _, status := range undocumented {
				operation.AddResponse(status, openapi3.NewResponse().WithDescription("").WithContent(content))
			}
		}
	}
}

// loadOfficial reads the description out of the client's module and amends it.
func loadOfficial(covered *coverage) (*official, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", clientModule).Output()
	if err != nil {
		return nil, fmt.Errorf("find the module of the official client: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "api", "openapi.yaml")
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the official description: %w", err)
	}
	for _, a := range amendments {
		a.apply(doc)
	}
	judge, err := judgeBy(doc)
	if err != nil {
		return nil, fmt.Errorf("the amended official description: %w", err)
	}
	judge.covered = covered
	return judge, nil
}

// judgeBy makes a judge out of a description that must be valid.
func judgeBy(doc *openapi3.T) (*official, error) {
	if err := doc.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		return nil, fmt.Errorf("it is not valid: %w", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("make routes of it: %w", err)
	}
	return &official{
		router:  router,
		request: judging(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`),
		answer:  judging(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$`),
		generic: doc.Components.Schemas["GenericError"].Value,
	}, nil
}

// judging is how strictly values are judged, with the form that a time must have.
func judging(dateTime string) *openapi3filter.Options {
	pattern := openapi3.NewRegexpFormatValidator
	return &openapi3filter.Options{
		IncludeResponseStatus:             true,
		RejectWhenRequestBodyNotSpecified: true,
		SkipSettingDefaults:               true,
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{
			openapi3.EnableFormatValidation(),
			openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
				"uuid":      pattern(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
				"email":     pattern(`^([^@\s]+@[^@<>",\s]+)?$`),
				"uri":       pattern(`^([a-z][a-z0-9+.-]*://\S+)?$`),
				"date-time": pattern(dateTime),
			}),
		},
	}
}

type outsideKey struct{}

// outside marks calls that go beyond the description on purpose: a body that it calls
// invalid, a path or a method that it does not know. The answer is judged all the same.
func outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, outsideKey{}, true)
}

var slashes = regexp.MustCompile("/{2,}")

// RoundTrip judges the request, sends it, judges the answer and counts the call.
func (o *official) RoundTrip(r *http.Request) (*http.Response, error) {
	meant := r.Context().Value(outsideKey{}) == nil
	route, err := o.judgeRequest(r, meant)
	if err != nil {
		return nil, fmt.Errorf("request %s %s does not follow the description: %w", r.Method, r.URL, err)
	}
	own, err := o.ownRoute(r)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", r.Method, r.URL, err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if err := o.judgeAnswer(route, answer, body); err != nil {
		return nil, fmt.Errorf("answer %d to %s %s does not follow the description: %w\nbody: %s",
			answer.StatusCode, r.Method, r.URL, err, body)
	}
	if o.own != nil {
		if err := o.own.judgeAnswer(own, answer, body); err != nil {
			return nil, fmt.Errorf("answer %d to %s %s does not follow Belfry's own description: %w\nbody: %s",
				answer.StatusCode, r.Method, r.URL, err, body)
		}
	}
	o.covered.count(name(route, r), answer.StatusCode)
	return answer, nil
}

// ownRoute finds the operation of a request in Belfry's own description; nil where it has none.
func (o *official) ownRoute(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	if o.own == nil {
		return nil, nil
	}
	return o.own.judgeRequest(r, false)
}

// judgeRequest finds the operation of a request, and with meant refuses one that the
// description calls invalid. The route is nil when the description knows none.
func (o *official) judgeRequest(r *http.Request, meant bool) (*openapi3filter.RequestValidationInput, error) {
	probe := r.Clone(r.Context())
	probe.URL.Path = slashes.ReplaceAllString(probe.URL.Path, "/")
	probe.URL.RawPath = ""
	route, params, err := o.router.FindRoute(probe)
	if err != nil {
		if meant {
			return nil, err
		}
		return nil, nil
	}
	if r.Body != nil {
		sent, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r.Body, probe.Body = io.NopCloser(bytes.NewReader(sent)), io.NopCloser(bytes.NewReader(sent))
	}
	input := &openapi3filter.RequestValidationInput{Request: probe, PathParams: params, Route: route, Options: o.request}
	if meant {
		err = openapi3filter.ValidateRequest(r.Context(), input)
	}
	return input, err
}

func (o *official) judgeAnswer(route *openapi3filter.RequestValidationInput, answer *http.Response, body []byte) error {
	if answer.StatusCode == http.StatusNoContent && len(body) > 0 {
		return errors.New("204 has no body")
	}
	if kind := answer.Header.Get("Content-Type"); len(body) > 0 && kind != "application/json" {
		return fmt.Errorf("content type is %q", kind)
	}
	if route == nil {
		return o.judgeUnknown(answer, body)
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: route, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: o.answer,
	})
}

// judgeUnknown judges an answer where the description knows no operation: a refusal with a reason.
func (o *official) judgeUnknown(answer *http.Response, body []byte) error {
	if answer.StatusCode < http.StatusBadRequest || answer.StatusCode >= http.StatusInternalServerError {
		return errors.New("an unknown operation must be refused")
	}
	value, err := decode[any](body)
	if err != nil {
		return err
	}
	return o.generic.VisitJSON(value)
}

// name is what a call is counted as: its operation's name, or the request line of an unknown one.
func name(route *openapi3filter.RequestValidationInput, r *http.Request) string {
	if route == nil {
		return r.Method + " " + r.URL.Path
	}
	return route.Route.Operation.OperationID
}
