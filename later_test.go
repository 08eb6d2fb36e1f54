package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"belfry/internal/drf"
	"belfry/internal/sqldb"
)

// TestStatsCountPeopleAndEventsSinceEachStep posts events of different ages and counts them.
func TestStatsCountPeopleAndEventsSinceEachStep(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		now := f.now(t)
		ages := []int64{secondMicros, 30 * 60 * secondMicros, 90 * 60 * secondMicros, 23 * hourMicros, 25 * hourMicros, 6 * dayMicros, 40 * dayMicros,
			24*hourMicros + 30*secondMicros} // the last one is just too old, in the hour in which counting begins
		f.past(len(ages), func(i int, _ int64) Event {
			e := newEvent(EventPatch{}, OriginAPI)
			e.PK, e.Created, e.Action, e.App = sqldb.NewID(), now-ages[i], "logout", fmt.Sprint("app", i%2)
			if e.User = "{}"; i > 0 {
				e.User = marshalUser(i % 3)
			}
			return e
		})
		for _, c := range []struct{ query, want string }{
			{"count_steps=hours=24&count_steps=days=7", `{"unique_users":3,"count_step":{"hours24":4,"days7":7}}`},
			{"count_steps=hours%3D24&count_steps=weeks=52&action=logout", `{"unique_users":3,"count_step":{"hours24":4,"weeks52":8}}`},
			{"count_steps=minutes=59;seconds=30&search=app0", `{"unique_users":3,"count_step":{"minutes59;seconds30":1}}`},
			{"count_steps=hours=1.75", `{"unique_users":3,"count_step":{"hours1.75":3}}`},
			{"count_steps=hours=1.75&search=logout", `{"unique_users":3,"count_step":{"hours1.75":3}}`},
			{"count_steps=days=7&count_steps=days=7&actions=login", `{"unique_users":0,"count_step":{"days7":0}}`},
			{"count_steps=days=60&app=x", `{"unique_users":0,"count_step":{"days60":0}}`},
			{"count_steps=days=60&zzz=x", `{"unique_users":3,"count_step":{"days60":8}}`},
		} {
			query := strings.NewReplacer("seconds=", "seconds%3D", ";", "%3B").Replace(c.query)
			if r := f.must(200, "GET", eventsPath+"stats/?"+query, ""); r.text != c.want {
				t.Errorf("%s: want %s, got %s", c.query, c.want, r.text)
			}
		}
	})
}

func marshalUser(pk int) drf.JSON { return drf.JSON(fmt.Sprintf(`{"pk":%d}`, pk+1)) }

func TestStatsRefuseStepsThatAreNoDurations(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		refuse := func(query, want string) {
			if r := f.call(adminKey, "GET", eventsPath+"stats/?"+query, ""); r.status != 400 || r.text != want {
				t.Errorf("%s: want 400 %s, got %d %s", query, want, r.status, r.text)
			}
		}
		for _, step := range []string{"24d", "hours", "hours=", "hours=x", "=3", "years=1", "hours=-1", "hours=1,days=2", "days=inf", "days=nan", "days=1e300", "hours=1;"} {
			refuse("count_steps="+url.QueryEscape(step), `{"count_steps":{"0":["`+step+` is not in the correct format of 'hours=3;minutes=1'."]}}`)
		}
		refuse("count_steps=days=1&count_steps=x", `{"count_steps":{"1":["x is not in the correct format of 'hours=3;minutes=1'."]}}`)
		refuse("", `{"count_steps":["This field is required."]}`)
		refuse("count_steps=", `{"count_steps":["This field is required."]}`)
		var many strings.Builder
		for i := range maxSteps + 1 {
			fmt.Fprintf(&many, "&count_steps=days=%d", i)
		}
		refuse(many.String(), `{"count_steps":["Ensure this field has no more than 50 elements."]}`)
	})
}

func TestThereAreNoSystemTasks(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const tasks = "/api/v3/events/system_tasks/"
		if r := f.must(200, "GET", tasks+"?name=x&status=error&search=y", ""); r.text != `{"pagination":{"next":0,"previous":0,"count":0,"current":1,`+
			`"total_pages":1,"start_index":0,"end_index":0},"autocomplete":{},"results":[]}` {
			t.Error(r.text)
		}
		f.must(404, "GET", tasks+"?page=2", "")
		f.must(400, "GET", tasks+"?status=x", "")
		f.must(404, "GET", tasks+"01890000-0000-7000-8000-000000000000/", "")
		f.must(404, "POST", tasks+"01890000-0000-7000-8000-000000000000/run/", "")
	})
}

// TestAnswersHaveWhatClientsOfLaterReleasesRequire lists the fields that the description of 2026.8.3 requires and that of
// 2024.6 does not.
func TestAnswersHaveWhatClientsOfLaterReleasesRequire(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.notified("later")
		for path, required := range map[string]string{
			"core/users/1/":                            "avatar date_joined groups_obj is_superuser last_updated name password_change_date pk roles_obj uid username uuid",
			"core/users/me/ user":                      "avatar groups is_active is_current is_superuser name pk roles settings system_permissions uid username",
			"core/groups/ results":                     "children children_obj inherited_roles_obj name num_pk parents_obj pk roles_obj users_obj",
			"core/tokens/ results":                     "identifier pk user_obj",
			"policies/bindings/ results":               "expires expiring group_obj order pk policy_obj target user_obj",
			"policies/bindings/ results policy_obj":    "bound_to component meta_model_name name pk verbose_name verbose_name_plural",
			"policies/event_matcher/ results":          "bound_to component meta_model_name name pk verbose_name verbose_name_plural",
			"admin/version/":                           "build_hash outdated outpost_outdated version_current version_latest version_latest_valid",
			"events/rules/ results":                    "destination_group_obj name pk",
			"events/transports/ results":               "mode_verbose name pk",
			"events/notifications/ results":            "body created pk severity",
			"events/events/ results":                   "action app created pk",
			"events/events/volume/?history_days=1 ":    "action count time",
			"events/events/stats/?count_steps=days=1 ": "count_step unique_users",
			"events/system_tasks/":                     "autocomplete pagination results",
		} {
			path, inside, _ := strings.Cut(path, " ")
			value := f.must(200, "GET", "/api/v3/"+path, "").get()
			for _, key := range append([]string{""}, strings.Fields(inside)...) {
				if object, ok := value.(map[string]any); ok && key != "" {
					value = object[key]
				}
				if list, ok := value.([]any); ok && len(list) > 0 {
					value = list[0]
				}
			}
			object, _ := value.(map[string]any)
			for _, field := range strings.Fields(required) {
				if _, ok := object[field]; !ok {
					t.Errorf("%s %s lacks %s: %v", path, inside, field, value)
				}
			}
		}
		for _, rt := range f.server.routes() {
			if o, _ := describeVerb("GET", rt.path); o.Query != nil && o.Query.Default != nil && !strings.Contains(rt.path, "{") {
				if _, ok := f.must(200, "GET", rt.path, "").get("autocomplete").(map[string]any); !ok {
					t.Errorf("%s lacks autocomplete", rt.path)
				}
			}
		}
	})
}
