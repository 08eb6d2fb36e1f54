package main

import (
	"fmt"
	"testing"
)

// What belongs to a person goes with the person; what happened stays, and so do the rules.
func TestDeletedUserOrGroupTakesWhatIsItsOwnAndNoEvent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		alice, key := f.user("alice", "inbox")
		notification, event := f.notifyUser(alice, "first")
		crew := f.must(201, "POST", "/api/v3/core/groups/", fmt.Sprintf(`{"name":"crew","users":[%d]}`, alice)).str("pk")
		rule := f.must(201, "POST", "/api/v3/events/rules/", `{"name":"crew","group":"`+crew+`"}`).str("pk")
		bind := func(subject string) string {
			return "/api/v3/policies/bindings/" + f.must(201, "POST", "/api/v3/policies/bindings/",
				`{"target":"`+rule+`","order":0,`+subject+`}`).str("pk") + "/"
		}
		byUser, byGroup := bind(fmt.Sprintf(`"user":%d`, alice)), bind(`"group":"`+crew+`"`)

		f.must(204, "DELETE", fmt.Sprintf("/api/v3/core/users/%d/", alice), "")
		f.must(404, "GET", notificationsPath+notification+"/", "")
		f.must(404, "GET", byUser, "")
		f.must(200, "GET", byGroup, "")
		f.must(200, "GET", eventsPath+event+"/", "")
		if r := f.call(key, "GET", notificationsPath, ""); r.status != 403 {
			t.Errorf("the token of a deleted user: %d %s", r.status, r.text)
		}

		f.must(204, "DELETE", "/api/v3/core/groups/"+crew+"/", "")
		f.must(404, "GET", byGroup, "")
		if r := f.must(200, "GET", "/api/v3/events/rules/"+rule+"/", ""); r.get("group") != nil {
			t.Errorf("the rule of a deleted group: %s", r.text)
		}
	})
}
