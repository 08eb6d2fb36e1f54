package main

import (
	"fmt"
	"net/http"

	"belfry/internal/drf"
	"belfry/internal/rules"
	"belfry/internal/sqldb"
)

// ruleStatus is how a rule fares.
type ruleStatus struct {
	rule     rules.Rule
	last     *int64 // when it last matched (UTC microseconds), as far as what it made is kept; nil for never
	warnings []string
}

var ruleStatusSerializer = drf.NewSerializer("NotificationRuleStatus",
	drf.UUID[ruleStatus, readOnly]("rule", func(s *ruleStatus) string { return s.rule.PK }),
	drf.Text[ruleStatus, readOnly]("rule_name", func(s *ruleStatus) string { return s.rule.Name }, nil),
	drf.NullTime[ruleStatus, readOnly]("last_matched", func(s *ruleStatus) *int64 { return s.last }, nil,
		drf.Help("When it last told somebody, as far as its notifications and deliveries are kept.")),
	drf.Strings[ruleStatus, readOnly]("warnings", nil, func(s *ruleStatus) []string { return all(s.warnings) }, nil,
		drf.Help("Why it can never fire, or nobody hears of it when it does.")),
)

// rulesStatus answers of every rule when it last matched, and what keeps it from doing so.
func (s *server) rulesStatus(w http.ResponseWriter, r *http.Request) error {
	snapshot, err := s.recorder.snapshotNow(r.Context())
	if err != nil {
		return err
	}
	var last map[string]int64
	err = s.db.Read(r.Context(), func(tx *sqldb.Tx) (err error) {
		last, err = lastMatches(tx)
		return err
	})
	if err != nil {
		return err
	}
	known := snapshot.rules.Rules()
	out := make([]ruleStatus, len(known))
	for i, rule := range known {
		out[i] = ruleStatus{rule: rule, warnings: snapshot.rules.Warnings(rule)}
		if at := last[rule.PK]; at > 0 {
			out[i].last = &at
		}
		if snapshot.delivery.AllDisabled(rule.Transports) {
			out[i].warnings = append(out[i].warnings, "What it sends waits: all of its transports are disabled.")
		}
	}
	return ruleStatusSerializer.WriteAll(w, r, out)
}

// lastMatches is when each rule last made something, 0 for never.
func lastMatches(tx *sqldb.Tx) (map[string]int64, error) {
	type match struct {
		pk   string
		last int64
	}
	rows, err := sqldb.All(tx, func(row sqldb.Scanner) (m match, err error) {
		var notified, delivered int64
		err = row.Scan(&m.pk, &notified, &delivered)
		m.last = max(notified, delivered)
		return m, err
	}, `SELECT r.pk, COALESCE((SELECT MAX(n.created) FROM notification n WHERE n.rule_pk = r.pk), 0),
		COALESCE((SELECT MAX(d.created) FROM delivery d WHERE d.rule_pk = r.pk), 0) FROM rule r`)
	if err != nil {
		return nil, fmt.Errorf("look when rules last matched: %w", err)
	}
	last := make(map[string]int64, len(rows))
	for _, m := range rows {
		last[m.pk] = m.last
	}
	return last, nil
}
