package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"belfry/internal/delivery"
	"belfry/internal/drf"
	"belfry/internal/identity"
	"belfry/internal/live"
	"belfry/internal/rules"
	"belfry/internal/script"
	"belfry/internal/sqldb"
)

// server answers requests. It is made once, by newServer.
type server struct {
	db       *sqldb.DB
	log      *slog.Logger
	recorder *recorder
	worker   *delivery.Worker
	identity *identity.API
	rules    *rules.API
	delivery *delivery.API
	hub      *live.Hub
	uploads  *uploads
	started  time.Time
	document func() document // describes the API; made when it is first asked for
	origin   string          // this Belfry's id, by which it knows its own webhooks; "" for none
}

// newServer wires the packages: what one of them needs of another above or beside it is handed down here.
func newServer(db *sqldb.DB, log *slog.Logger, out outside) *server {
	s := &server{db: db, log: log, origin: out.origin, hub: live.NewHub(gatherTime, changeMessage), uploads: newUploads(), started: time.Now()}
	s.recorder = &recorder{db: db, log: log, runner: script.NewRunner(), render: out.render(), publish: s.publish}
	s.worker = delivery.NewWorker(s.recorder.sends(out))
	s.recorder.wake = s.worker.Wake
	s.identity = identity.New(db, log, s.recorder.trail)
	s.identity.UsedBy, s.identity.Deleted = usedByRules, delivery.CancelOfUser
	s.identity.Tell, s.identity.Ended = s.tell, s.hub.Wake
	s.rules = &rules.API{DB: db, MissingTransport: delivery.MissingTransport, Subject: subjectOfJSON, Trail: s.recorder.trail, Runner: s.recorder.runner}
	s.delivery = &delivery.API{DB: db, UsedBy: rules.UsedByOfTransport, Trail: s.recorder.trail, Worker: s.worker, Rehearse: s.recorder.rehearse}
	s.document = sync.OnceValue(func() document {
		described := s.describe()
		return document{yaml: described.YAML(), json: described.JSON()}
	})
	return s
}

// usedByRules says what of the rules refers to a user or a group.
func usedByRules(tx *sqldb.Tx, kind, pk string) ([]drf.UsedBy, error) {
	if kind == "group" {
		return rules.UsedByOfGroup(tx, pk)
	}
	user, err := strconv.ParseInt(pk, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the key of a %s: %w", kind, err)
	}
	return rules.UsedByOfUser(tx, user)
}

// access says who may use a verb of a route: a person's rights and a token's scopes must both allow it.
type access struct {
	open      bool            // nobody needs to say who they are
	superuser bool            // only superusers
	scopes    identity.Scopes // any of these will do; admin always does
	read      bool            // the scope read will do as well
}

var (
	open   = access{open: true}
	admin  = access{superuser: true, read: true}                   // the product's objects; read may look
	strict = access{superuser: true}                               // not even read may look
	ingest = access{superuser: true, scopes: identity.ScopeIngest} // posting events
	anyone = access{read: true}                                    // everybody who is signed in
	inbox  = access{scopes: identity.ScopeInbox, read: true}       // one's own notifications
	own    = access{}                                              // one's own tokens and password
)

// allows reports whether the caller may use a verb with the given method.
func (a access) allows(c identity.Caller, method string) bool {
	if a.open {
		return true
	}
	if a.superuser && !c.Superuser {
		return false
	}
	reads := method == http.MethodGet || method == http.MethodHead
	return c.Scopes.Has(identity.ScopeAdmin) ||
		a.read && reads && c.Scopes.Has(identity.ScopeRead) ||
		a.scopes != 0 && c.Scopes.Has(a.scopes)
}

// handler answers a request, or returns the error that answers it.
type handler func(w http.ResponseWriter, r *http.Request) error

// verb is one method of a route.
type verb struct {
	method string
	access access
	handle handler
	offers []drf.Media // the forms of its answer; nil for JSON
	stream bool        // it lasts until somebody has enough
}

// endless lets a verb read and answer for as long as its client goes along.
func (v verb) endless() verb {
	v.stream = true
	return v
}

// in lets a verb answer in other forms than JSON. All verbs of a route offer the same.
func (v verb) in(offers []drf.Media) verb {
	v.offers = offers
	return v
}

// route is one path and what may be done there.
type route struct {
	path  string
	verbs []verb
}

func get(a access, h handler) verb    { return verb{method: http.MethodGet, access: a, handle: h} }
func post(a access, h handler) verb   { return verb{method: http.MethodPost, access: a, handle: h} }
func put(a access, h handler) verb    { return verb{method: http.MethodPut, access: a, handle: h} }
func patch(a access, h handler) verb  { return verb{method: http.MethodPatch, access: a, handle: h} }
func remove(a access, h handler) verb { return verb{method: http.MethodDelete, access: a, handle: h} }

// routes is the whole API, readable from top to bottom. A literal path stands before one with a variable
// that would match it too.
func (s *server) routes() []route {
	return slices.Concat(s.eventRoutes(), s.ruleRoutes(), s.identityRoutes(), s.sessionRoutes(), s.rootRoutes())
}

// eventRoutes are the main job. The router tries one path after the other: what is asked for most stands first.
func (s *server) eventRoutes() []route {
	return []route{
		{"/api/v3/events/notifications/", []verb{get(inbox, s.listNotifications)}},
		{"/api/v3/events/notifications/mark_all_seen/", []verb{post(inbox, s.markAllSeen)}},
		{"/api/v3/events/notifications/{uuid}/", []verb{get(inbox, s.getNotification),
			put(inbox, s.updateNotification), patch(inbox, s.updateNotification), remove(inbox, s.deleteNotification)}},
		{"/api/v3/events/notifications/{uuid}/used_by/", []verb{get(inbox, s.notificationUsedBy)}},

		{"/api/v3/events/events/", []verb{get(admin, s.listEvents), post(ingest, s.createEvent)}},
		{"/api/v3/events/events/actions/", []verb{get(anyone, s.listActions)}},
		{"/api/v3/events/events/top_per_user/", []verb{get(admin, s.topPerUser)}},
		{"/api/v3/events/events/volume/", []verb{get(admin, s.volume)}},
		{"/api/v3/events/events/per_month/", []verb{get(admin, s.perMonth)}},
		{"/api/v3/events/events/stats/", []verb{get(admin, s.stats)}},
		{"/api/v3/events/events/{event_uuid}/", []verb{get(admin, s.getEvent),
			put(admin, s.updateEvent), patch(admin, s.updateEvent), remove(admin, s.deleteEvent)}},
		{"/api/belfry/events/", []verb{post(ingest, s.createEvents).endless()}},
		{"/api/belfry/events/{event_uuid}/explain/", []verb{get(strict, s.explainEvent)}},

		{"/api/v3/events/system_tasks/", []verb{get(admin, s.listTasks)}},
		{"/api/v3/events/system_tasks/{uuid}/", []verb{get(admin, s.noTask)}},
		{"/api/v3/events/system_tasks/{uuid}/run/", []verb{post(admin, s.noTask)}},
	}
}

// ruleRoutes decide who is notified, and how.
func (s *server) ruleRoutes() []route {
	ru, de := s.rules, s.delivery
	return []route{
		{"/api/v3/events/rules/", []verb{get(admin, ru.ListRules), post(admin, ru.CreateRule)}},
		{"/api/v3/events/rules/{pbm_uuid}/", []verb{get(admin, ru.GetRule),
			put(admin, ru.UpdateRule), patch(admin, ru.UpdateRule), remove(admin, ru.DeleteRule)}},
		{"/api/v3/events/rules/{pbm_uuid}/used_by/", []verb{get(admin, ru.RuleUsedBy)}},
		{"/api/belfry/rules/status/", []verb{get(admin, s.rulesStatus)}},
		{"/api/belfry/rules/{pbm_uuid}/dry_run/", []verb{post(admin, s.dryRunRule)}},

		{"/api/v3/events/transports/", []verb{get(admin, de.ListTransports), post(admin, de.CreateTransport)}},
		{"/api/v3/events/transports/{uuid}/", []verb{get(admin, de.GetTransport),
			put(admin, de.UpdateTransport), patch(admin, de.UpdateTransport), remove(admin, de.DeleteTransport)}},
		{"/api/v3/events/transports/{uuid}/test/", []verb{post(admin, de.TestTransport)}},
		{"/api/v3/events/transports/{uuid}/used_by/", []verb{get(admin, de.TransportUsedBy)}},

		{"/api/belfry/deliveries/", []verb{get(admin, de.ListDeliveries)}},
		{"/api/belfry/deliveries/retry/", []verb{post(admin, de.RetryDeliveries)}},
		{"/api/belfry/deliveries/{uuid}/", []verb{get(strict, de.GetDelivery)}},
		{"/api/belfry/deliveries/{uuid}/retry/", []verb{post(admin, de.RetryDelivery)}},
		{"/api/belfry/deliveries/{uuid}/cancel/", []verb{post(admin, de.CancelDelivery)}},

		{"/api/v3/propertymappings/notification/", []verb{get(strict, de.ListMappings), post(admin, de.CreateMapping)}},
		{"/api/v3/propertymappings/notification/{pm_uuid}/", []verb{get(strict, de.GetMapping),
			put(admin, de.UpdateMapping), patch(admin, de.UpdateMapping), remove(admin, de.DeleteMapping)}},
		{"/api/v3/propertymappings/notification/{pm_uuid}/used_by/", []verb{get(admin, de.MappingUsedBy)}},
		{"/api/belfry/mappings/preview/", []verb{post(strict, de.PreviewMapping)}},
		{"/api/belfry/presets/", []verb{get(admin, de.ListPresets)}},

		{"/api/v3/policies/all/", []verb{get(admin, ru.ListPolicies)}},
		{"/api/v3/policies/all/types/", []verb{get(admin, ru.PolicyTypes)}},
		{"/api/v3/policies/all/cache_info/", []verb{get(admin, ru.PolicyCacheInfo)}},
		{"/api/v3/policies/all/cache_clear/", []verb{post(admin, ru.ClearPolicyCache)}},
		{"/api/v3/policies/all/{policy_uuid}/", []verb{get(admin, ru.GetPolicy), remove(admin, ru.DeletePolicy)}},
		{"/api/v3/policies/all/{policy_uuid}/test/", []verb{post(admin, ru.TestPolicy)}},
		{"/api/v3/policies/all/{policy_uuid}/used_by/", []verb{get(admin, ru.PolicyUsedBy)}},

		{"/api/v3/policies/event_matcher/", []verb{get(admin, ru.ListMatchers), post(admin, ru.CreateMatcher)}},
		{"/api/v3/policies/event_matcher/{policy_uuid}/", []verb{get(admin, ru.GetMatcher),
			put(admin, ru.UpdateMatcher), patch(admin, ru.UpdateMatcher), remove(admin, ru.DeleteMatcher)}},
		{"/api/v3/policies/event_matcher/{policy_uuid}/used_by/", []verb{get(admin, ru.MatcherUsedBy)}},

		{"/api/v3/policies/expression/", []verb{get(strict, ru.ListExpressions), post(admin, ru.CreateExpression)}},
		{"/api/v3/policies/expression/{policy_uuid}/", []verb{get(strict, ru.GetExpression),
			put(admin, ru.UpdateExpression), patch(admin, ru.UpdateExpression), remove(admin, ru.DeleteExpression)}},
		{"/api/v3/policies/expression/{policy_uuid}/used_by/", []verb{get(admin, ru.ExpressionUsedBy)}},

		{"/api/v3/policies/bindings/", []verb{get(admin, ru.ListBindings), post(admin, ru.CreateBinding)}},
		{"/api/v3/policies/bindings/{policy_binding_uuid}/", []verb{get(admin, ru.GetBinding),
			put(admin, ru.UpdateBinding), patch(admin, ru.UpdateBinding), remove(admin, ru.DeleteBinding)}},
		{"/api/v3/policies/bindings/{policy_binding_uuid}/used_by/", []verb{get(admin, ru.BindingUsedBy)}},
	}
}

// identityRoutes are users, groups and tokens.
func (s *server) identityRoutes() []route {
	id := s.identity
	return []route{
		{"/api/v3/core/users/", []verb{get(admin, id.ListUsers), post(admin, id.CreateUser)}},
		{"/api/v3/core/users/me/", []verb{get(inbox, id.Me)}},
		{"/api/v3/core/users/{id}/", []verb{get(admin, id.GetUser),
			put(admin, id.UpdateUser), patch(admin, id.UpdateUser), remove(admin, id.DeleteUser)}},
		{"/api/v3/core/users/{id}/set_password/", []verb{post(own, id.SetPassword)}},
		{"/api/v3/core/users/{id}/used_by/", []verb{get(strict, id.UserUsedBy)}},

		{"/api/v3/core/groups/", []verb{get(admin, id.ListGroups), post(admin, id.CreateGroup)}},
		{"/api/v3/core/groups/{group_uuid}/", []verb{get(admin, id.GetGroup),
			put(admin, id.UpdateGroup), patch(admin, id.UpdateGroup), remove(admin, id.DeleteGroup)}},
		{"/api/v3/core/groups/{group_uuid}/add_user/", []verb{post(admin, id.AddUser)}},
		{"/api/v3/core/groups/{group_uuid}/remove_user/", []verb{post(admin, id.RemoveUser)}},
		{"/api/v3/core/groups/{group_uuid}/used_by/", []verb{get(admin, id.GroupUsedBy)}},

		{"/api/v3/core/tokens/", []verb{get(own, id.ListTokens), post(own, id.CreateToken)}},
		{"/api/v3/core/tokens/{identifier}/", []verb{get(own, id.GetToken),
			put(own, id.UpdateToken), patch(own, id.UpdateToken), remove(own, id.DeleteToken)}},
		{"/api/v3/core/tokens/{identifier}/set_key/", []verb{post(strict, id.SetKey)}},
		{"/api/v3/core/tokens/{identifier}/view_key/", []verb{get(own, id.ViewKey)}},
		{"/api/v3/core/tokens/{identifier}/used_by/", []verb{get(own, id.TokenUsedBy)}},
	}
}

// sessionRoutes are one's own sign-ins, and what lasts as long as one of them.
func (s *server) sessionRoutes() []route {
	id := s.identity
	return []route{
		{"/api/belfry/session/", []verb{get(open, id.GetSession), post(open, id.SignIn), remove(open, id.SignOut)}},
		{"/api/belfry/me/", []verb{get(inbox, id.GetMe)}},
		{"/api/belfry/me/password/", []verb{post(own, id.ChangePassword)}},
		{"/api/belfry/me/sessions/", []verb{get(own, id.ListOwnSessions)}},
		{"/api/belfry/me/sessions/{uuid}/", []verb{remove(own, id.EndOwnSession)}},
		{"/api/belfry/sessions/", []verb{get(strict, id.ListSessions)}},
		{"/api/belfry/sessions/{uuid}/", []verb{remove(strict, id.EndSession)}},
		{"/api/belfry/live", []verb{get(inbox, s.follow).in(followMedia).endless()}},
		{"/api/belfry/system/", []verb{get(admin, s.system)}},
	}
}

// rootRoutes are what clients and supervisors ask first.
func (s *server) rootRoutes() []route {
	return []route{
		{"/api/v3/root/config/", []verb{get(inbox, s.config)}},
		{"/api/v3/admin/version/", []verb{get(anyone, s.version)}},
		{"/api/v3/schema/", []verb{get(anyone, s.schema).in(schemaMedia)}},

		{"/-/health/live/", []verb{get(open, s.live)}},
		{"/-/health/ready/", []verb{get(open, s.ready)}},
	}
}
