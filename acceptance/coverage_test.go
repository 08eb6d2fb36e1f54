package acceptance

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// operations are what the run must have exercised, by their official names. Each must
// have succeeded at least once, but for those in refused.
var operations = strings.Fields(`
	admin_version_retrieve
	root_config_retrieve
	events_events_list events_events_create events_events_retrieve events_events_update
	events_events_partial_update events_events_destroy events_events_actions_list
	events_events_top_per_user_list events_events_volume_list events_events_per_month_list
	events_events_stats_retrieve
	events_system_tasks_list events_system_tasks_retrieve events_system_tasks_run_create
	events_notifications_list events_notifications_retrieve events_notifications_update
	events_notifications_partial_update events_notifications_destroy
	events_notifications_used_by_list events_notifications_mark_all_seen_create
	events_rules_list events_rules_create events_rules_retrieve events_rules_update
	events_rules_partial_update events_rules_destroy events_rules_used_by_list
	events_transports_list events_transports_create events_transports_retrieve events_transports_update
	events_transports_partial_update events_transports_destroy events_transports_used_by_list events_transports_test_create
	policies_event_matcher_list policies_event_matcher_create policies_event_matcher_retrieve
	policies_event_matcher_update policies_event_matcher_partial_update policies_event_matcher_destroy
	policies_event_matcher_used_by_list
	policies_bindings_list policies_bindings_create policies_bindings_retrieve policies_bindings_update
	policies_bindings_partial_update policies_bindings_destroy policies_bindings_used_by_list
	policies_expression_list policies_expression_create policies_expression_retrieve policies_expression_update
	policies_expression_partial_update policies_expression_destroy policies_expression_used_by_list
	policies_all_list policies_all_retrieve policies_all_destroy policies_all_test_create policies_all_used_by_list
	policies_all_types_list policies_all_cache_info_retrieve policies_all_cache_clear_create
	propertymappings_notification_list propertymappings_notification_create propertymappings_notification_retrieve
	propertymappings_notification_update propertymappings_notification_partial_update
	propertymappings_notification_destroy propertymappings_notification_used_by_list
	core_users_list core_users_create core_users_retrieve core_users_update core_users_partial_update
	core_users_destroy core_users_me_retrieve core_users_set_password_create core_users_used_by_list
	core_groups_list core_groups_create core_groups_retrieve core_groups_update
	core_groups_partial_update core_groups_destroy core_groups_add_user_create
	core_groups_remove_user_create core_groups_used_by_list
	core_tokens_list core_tokens_create core_tokens_retrieve core_tokens_update
	core_tokens_partial_update core_tokens_destroy core_tokens_set_key_create
	core_tokens_view_key_retrieve core_tokens_used_by_list
`)

// refused are operations that are served and always refused, with the status of the refusal.
var refused = map[string]int{
	"core_tokens_view_key_retrieve": http.StatusForbidden,
	"events_system_tasks_retrieve":  http.StatusNotFound, "events_system_tasks_run_create": http.StatusNotFound,
}

// coverage counts calls by operation and status. It is safe for use by many goroutines.
type coverage struct {
	mu    sync.Mutex
	calls map[string]map[int]int        // of the official Go client, and raw ones
	npm   map[string]map[string]npmUsed // by client and operation; a client that did not run is absent
}

// npmUsed is what an npm client did with one operation.
type npmUsed struct {
	Has      bool        // whether the client has the operation
	Statuses map[int]int // its calls
}

// ran adds what an npm client did.
func (c *coverage) ran(client string, used map[string]npmUsed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.npm == nil {
		c.npm = map[string]map[string]npmUsed{}
	}
	c.npm[client] = used
}

func (c *coverage) count(operation string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[operation] == nil {
		c.calls[operation] = map[int]int{}
	}
	c.calls[operation][status]++
}

// missing lists the operations that were not exercised as they must be: by the Go client, and by every npm client
// that ran and has them.
func (c *coverage) missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for _, operation := range operations {
		if !exercised(operation, c.calls[operation]) {
			missing = append(missing, operation)
		}
		for _, client := range slices.Sorted(maps.Keys(c.npm)) {
			if used := c.npm[client][operation]; used.Has && !exercised(operation, used.Statuses) {
				missing = append(missing, operation+" ("+client+")")
			}
		}
	}
	return missing
}

// exercised says whether an operation was answered at least once as it must be.
func exercised(operation string, statuses map[int]int) bool {
	if status, ok := refused[operation]; ok {
		return statuses[status] > 0
	}
	for status := range statuses {
		if status < http.StatusMultipleChoices {
			return true
		}
	}
	return false
}

// print writes the table of operations by client and status.
func (c *coverage) print(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clients := slices.Sorted(maps.Keys(c.npm))
	total := 0
	fmt.Fprintf(w, "\ncalls by status; – where a client does not have the operation\n%-48s %-30s%s\n", "operation", "Go 2024.6", columns(clients))
	for _, operation := range slices.Sorted(maps.Keys(c.calls)) {
		var others []string
		for _, client := range clients {
			if used := c.npm[client][operation]; used.Has {
				others = append(others, cell(used.Statuses))
			} else {
				others = append(others, "–")
			}
		}
		for _, calls := range c.calls[operation] {
			total += calls
		}
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-48s %-30s%s", operation, cell(c.calls[operation]), columns(others)), " "))
	}
	fmt.Fprintf(w, "%d operations listed, %d seen, %d calls of the Go client\n", len(operations), len(c.calls), total)
	if len(clients) == 0 {
		fmt.Fprintln(w, "the npm clients did not run")
	}
}

// columns sets what stands behind the Go client's column.
func columns(cells []string) string {
	var line strings.Builder
	for _, cell := range cells {
		fmt.Fprintf(&line, "%-18s", cell)
	}
	return line.String()
}

// cell writes calls by status.
func cell(statuses map[int]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		parts = append(parts, fmt.Sprintf("%d×%d", status, statuses[status]))
	}
	return strings.Join(parts, "  ")
}
