package main

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"belfry/internal/drf"
	"belfry/internal/listing"
	"belfry/internal/sqldb"
)

// countedMatches bounds the counting of rows where no counter covers a filter (deviation 10).
const countedMatches = 10_000

// mostPaths is how many ways a list is read by at once: each costs something, even where it leads to nothing.
const mostPaths = 40

// eventSources are the columns behind the names that ?ordering= takes.
var eventSources = map[string]string{
	"pk": "e.pk", "action": "e.action", "app": "e.app", "client_ip": "COALESCE(e.client_ip, '')",
	"created": "e.created", "expires": "e.expires",
}

// listEvents reads one page of the events that q asks for.
func listEvents(tx *sqldb.Tx, q *drf.Query) (page sqldb.Page[Event], err error) {
	if len(q.Search) > 0 {
		return searchEvents(tx, q, q.Search)
	}
	s, err := selectEvents(tx, q)
	if err != nil {
		return page, err
	}
	terms, err := s.terms(tx, q)
	if err != nil {
		return page, err
	}
	if len(terms) > 0 {
		return searchEvents(tx, q, terms)
	}
	return sqldb.Select(tx, s.list(q), scanEvent)
}

// searchEvents reads a page of those events that hold the terms, besides what q asks for.
func searchEvents(tx *sqldb.Tx, q *drf.Query, terms []string) (page sqldb.Page[Event], err error) {
	where, by := eventFilter(q), *q
	by.Search = terms
	s, err := planSearch(tx, &by, where)
	if err != nil {
		return page, err
	}
	if s != nil {
		s.exact = s.exact && len(q.Search) > 0 // what holds a filter's term may yet be of another value
		if s.pages(q) {
			return s.page(q, q.Order[0].Desc)
		}
		if where, err = s.narrow(); err != nil {
			return page, err
		}
	}
	return sqldb.Select(tx, sortedEvents(q, where), scanEvent)
}

// selection is the events that filters let pass, and how they are found.
type selection struct {
	listing.Selection
	actions actionSet
	counted bool // the counters cover it: nothing but actions narrows it
	timed   bool // nothing but actions and the time do: from start on and before end (UTC microseconds)
	start   int64
	end     int64
	listed  bool // the index of search has listed what may be in it
}

// selectEvents decides how the events that q asks for are found, without its search.
func selectEvents(tx *sqldb.Tx, q *drf.Query) (selection, error) {
	actions, err := actionsOf(tx, q)
	if err != nil {
		return selection{}, err
	}
	filters := eventFilters(q)
	others := len(filters) // than actions
	counted := others == 0
	switch {
	case actions.all:
	case len(actions.names) <= mostPaths:
		filters = append(filters, listing.OneOf("e.action", "event_action", actions.names))
	default:
		filters = append(filters, actionFilters(q)...)
	}
	chosen, err := chooseEvents(tx, filters)
	s := selection{Selection: chosen, actions: actions, counted: counted, start: math.MinInt64, end: forever}
	for name, bound := range map[string]*int64{"created__gte": &s.start, "created__lt": &s.end} {
		if moment, ok := q.Time(name); ok {
			*bound = moment
			others--
		}
	}
	s.timed = others == 0 && !counted
	return s, err
}

// selectMatches selects the events that q asks for, by its search too. Of those that were made before since it need not find any.
func selectMatches(tx *sqldb.Tx, q *drf.Query, since int64) (s selection, err error) {
	terms := q.Search
	if len(terms) == 0 {
		if s, err = selectEvents(tx, q); err != nil {
			return s, err
		}
		if terms, err = s.terms(tx, q); len(terms) == 0 || err != nil {
			return s, err
		}
	}
	by, where := *q, eventFilter(q)
	by.Search = terms
	if search, err := planSearch(tx, &by, where); err != nil {
		return s, err
	} else if search != nil {
		search.zones = slices.DeleteFunc(search.zones, func(z zone) bool { return z.newest < since })
		if where, err = search.narrow(); err != nil {
			return s, err
		}
	}
	return selection{Selection: listing.Selection{Where: where, Paths: []sqldb.Path{{}}}, listed: true}, nil
}

func chooseEvents(tx *sqldb.Tx, filters []listing.Filter) (listing.Selection, error) {
	return listing.Choose(tx, "event e", "event_created", filters, countedMatches)
}

// events is the selection without an order, to be counted.
func (s selection) events() sqldb.List {
	return sqldb.List{From: "event e", Where: s.Where, Walk: &sqldb.Walk{Paths: s.Paths}}
}

// list is the selection as a page of it is read.
func (s selection) list(q *drf.Query) sqldb.List {
	l := sortedEvents(q, s.All)
	if s.counted {
		l.Count = func(tx *sqldb.Tx) (int64, error) { return countEvents(tx, s.actions) }
	}
	if s.timed {
		l.AtLeast = func(tx *sqldb.Tx) (int64, error) { return s.actions.atLeast(tx, s.start, s.end) }
	}
	by := q.Order[0].Name
	walk := &sqldb.Walk{By: eventSources[by], Key: "e.pk", Desc: q.Order[0].Desc, Paths: s.Paths}
	switch {
	case len(q.Order) > 1:
		return l
	case by == "created" && s.counted:
		walk.Pass = func(tx *sqldb.Tx, desc bool, offset int64) (edge, passed int64, err error) {
			return passHours(tx, s.actions, desc, offset)
		}
	case by == "created":
	case by == "pk" && s.counted && s.actions.all:
		l.Key = "" // its index passes what comes before the page
		return l
	case by == "expires" && s.counted && s.actions.all:
		walk.Paths = []sqldb.Path{{Index: "event_expires"}}
	default:
		return l
	}
	l.Where, l.Walk = s.Where, walk
	return l
}

// sortedEvents is a page of the events that pass where, read by sorting all of them.
func sortedEvents(q *drf.Query, where sqldb.Where) sqldb.List {
	return sqldb.List{
		Columns: eventColumns, From: "event e", Where: where, OrderBy: listing.OrderBy(q.Order, eventSources, "e.pk"), Key: "e.pk",
		Window: q.Window, CountUpTo: countedMatches, Exact: q.Last,
	}
}

// exactFilters are the query parameters that name one whole value of a column, the column, and its index where there is one.
var exactFilters = [][3]string{
	{"context_authorized_app", "e.application_pk", "event_application_pk"}, {"app", "e.app"}, {"context_model_app", "e.model_app"},
	{"context_model_name", "e.model_name"}, {"brand_name", "e.brand_name"},
}

// eventFilters are the filters of a query but those on the action. Of several the first ones are those that leave fewer
// events as a rule.
func eventFilters(q *drf.Query) (filters []listing.Filter) {
	if pk, ok := q.Text("context_model_pk"); ok {
		filters = append(filters, listing.OneOf("e.model_pk", "event_model_pk", modelPKs(pk)))
	}
	filters = append(filters, personFilters(q)...)
	for _, f := range exactFilters {
		if value, ok := q.Text(f[0]); ok {
			filters = append(filters, listing.Equals(f[1], f[2], value))
		}
	}
	for _, bound := range [][2]string{{"created__gte", "e.created >= ?"}, {"created__lt", "e.created < ?"}} {
		if moment, ok := q.Time(bound[0]); ok {
			filters = append(filters, listing.Filter{Condition: bound[1], Args: []any{moment}})
		}
	}
	return filters
}

// modelPKs are the keys that may be meant by one: clients write uuids with dashes or without, and integers are stored in decimal.
func modelPKs(pk string) []string {
	pks := []string{strings.ReplaceAll(pk, "-", "")}
	if n, err := strconv.ParseInt(pks[0], 10, 64); err == nil && strconv.FormatInt(n, 10) != pks[0] {
		pks = append(pks, strconv.FormatInt(n, 10))
	}
	return pks
}

// terms are texts that the events hold which pass those filters that there is no index for: the index of search knows where.
// There are none where another filter leaves few events, or on PostgreSQL, which has no such index.
func (s selection) terms(tx *sqldb.Tx, q *drf.Query) (terms []string, err error) {
	if index := s.Paths[0].Index; tx.Postgres() || index != "event_created" && index != "event_action" {
		return nil, nil
	}
	if app, ok := q.Text("app"); ok {
		terms = append(terms, line(app))
	}
	for _, f := range [][2]string{{"context_model_app", "app"}, {"context_model_name", "model_name"}} {
		if value, ok := q.Text(f[0]); ok {
			terms = append(terms, drf.Fold(`"`+f[1]+`":`+quote(value)))
		}
	}
	if len(terms) == 0 || len(s.actions.names) != 1 {
		return terms, nil
	}
	n, err := countEvents(tx, s.actions)
	if n < countedMatches {
		return nil, err
	}
	return append(terms, line(s.actions.names[0])), err
}

// line is a text as foldEvent writes it when it is a field of its own, between two others.
func line(text string) string { return drf.Fold("\n" + text + "\n") }

// personFilters are those on the address and on the name of a user, who did something or something was done to.
func personFilters(q *drf.Query) (filters []listing.Filter) {
	if ip, ok := q.Text("client_ip"); ok {
		filters = append(filters, listing.Equals("e.client_ip", "event_client_ip", normalIP(ip)))
	}
	if name, ok := q.Text("username"); ok {
		filters = append(filters, listing.Filter{Condition: "(e.username = ? OR e.context_username = ?)", Args: []any{name, name}, Paths: []sqldb.Path{
			{Index: "event_username", Condition: "e.username = ?", Args: []any{name}},
			{Index: "event_context_username", Condition: "e.context_username = ? AND (e.username IS NULL OR e.username <> ?)", Args: []any{name, name}},
		}})
	}
	return filters
}

// indexedFilter adds the conditions of personFilters; false when there is none.
func indexedFilter(where *sqldb.Where, q *drf.Query) bool {
	filters := personFilters(q)
	for _, f := range filters {
		where.Add(f.Condition, f.Args...)
	}
	return len(filters) > 0
}

// normalIP is an address as it is stored; what is none is left as it is and matches nothing.
func normalIP(s string) string {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.String()
	}
	return s
}

// actionFilters are the two filters on the action: a part of its name, and whole names.
func actionFilters(q *drf.Query) (filters []listing.Filter) {
	if part, ok := q.Text("action"); ok {
		filters = append(filters, listing.Filter{Condition: `e.action LIKE ? ESCAPE '\'`, Args: []any{"%" + sqldb.EscapeLike(drf.Fold(part)) + "%"}})
	}
	if names := q.Texts("actions"); len(names) > 0 {
		some := listing.OneOf("e.action", "", names)
		some.Paths = nil
		filters = append(filters, some)
	}
	return filters
}

// eventFilter turns a query into conditions, its search included.
func eventFilter(q *drf.Query) (where sqldb.Where) {
	for _, f := range append(actionFilters(q), eventFilters(q)...) {
		where.Add(f.Condition, f.Args...)
	}
	for _, term := range q.Search {
		where.Add(`e.folded LIKE ? ESCAPE '\'`, "%"+sqldb.EscapeLike(term)+"%")
	}
	return where
}
