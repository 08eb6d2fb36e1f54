package acceptance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	api "goauthentik.io/api/v3"
)

func TestConfigAndVersion(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	config := ok(t, 200, c.RootApi.RootConfigRetrieve(t.Context()).Execute)
	same(t, config.ErrorReporting.Enabled, false)
	same(t, config.Capabilities, []api.CapabilitiesEnum{})
	version := ok(t, 200, c.AdminApi.AdminVersionRetrieve(t.Context()).Execute)
	same(t, version.VersionCurrent, "2024.6.2")
	same(t, version.Outdated, false)
}

func TestMe(t *testing.T) {
	t.Parallel()
	s := start(t)
	me := ok(t, 200, s.admin().CoreApi.CoreUsersMeRetrieve(t.Context()).Execute).User
	same(t, []any{me.Pk, me.Username, me.IsSuperuser, me.IsActive}, []any{int32(1), "akadmin", true, true})
	same(t, keys(me.Groups, func(g api.UserSelfGroups) string { return g.Name }), []string{"authentik Admins"})
	ada, hers := user(t, s, "ada")
	me = ok(t, 200, hers.CoreApi.CoreUsersMeRetrieve(t.Context()).Execute).User
	same(t, []any{me.Pk, me.Username, me.IsSuperuser}, []any{ada.Pk, "ada", false})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	c := start(t).admin()
	crew := group(t, c, api.GroupRequest{Name: "crew", IsSuperuser: api.PtrBool(true)})
	external := api.USERTYPEENUM_EXTERNAL
	create := func(sent api.UserRequest) api.ApiCoreUsersCreateRequest {
		return c.CoreApi.CoreUsersCreate(t.Context()).UserRequest(sent)
	}
	made := ok(t, 201, create(api.UserRequest{Username: "ada", Name: "Ada Lovelace", Email: api.PtrString("ada@example.com"),
		Groups: []string{crew.Pk}, Path: api.PtrString("staff/one"), Type: &external, IsActive: api.PtrBool(true),
		Attributes: object{"desk": 4.0, "list": []any{"x"}}}).Execute)
	same(t, []any{made.Username, made.Name, *made.Email, *made.Path, *made.Type, *made.IsActive, made.IsSuperuser},
		[]any{"ada", "Ada Lovelace", "ada@example.com", "staff/one", external, true, true})
	same(t, made.Attributes, object{"desk": 4.0, "list": []any{"x"}})
	same(t, made.Groups, []string{crew.Pk})
	same(t, keys(made.GroupsObj, func(g api.UserGroup) string { return g.Name }), []string{"crew"})
	if !strings.HasPrefix(made.Avatar, "data:") || made.Uid == "" {
		t.Errorf("avatar %q, uid %q", made.Avatar, made.Uid)
	}
	same(t, ok(t, 200, c.CoreApi.CoreUsersRetrieve(t.Context(), made.Pk).Execute), made)
	plain := ok(t, 201, create(api.UserRequest{Username: "bob", Name: ""}).Execute) // a name may be blank
	same(t, []any{*plain.IsActive, *plain.Path, *plain.Type, *plain.Email, plain.IsSuperuser},
		[]any{true, "users", api.USERTYPEENUM_INTERNAL, "", false})

	list := func() api.ApiCoreUsersListRequest { return c.CoreApi.CoreUsersList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiCoreUsersListRequest
		want    string
	}{
		{"all", list(), "ada akadmin bob"},
		{"username", list().Username("ada"), "ada"},
		{"username is whole", list().Username("ad"), ""},
		{"name", list().Name("Ada Lovelace"), "ada"},
		{"email", list().Email("ada@example.com"), "ada"},
		{"is_active", list().IsActive(false), ""},
		{"is_superuser", list().IsSuperuser(true), "ada akadmin"},
		{"no superuser", list().IsSuperuser(false), "bob"},
		{"groups_by_name", list().GroupsByName([]string{"crew"}), "ada"},
		{"groups_by_pk", list().GroupsByPk([]string{crew.Pk}), "ada"},
		{"path", list().Path("staff/one"), "ada"},
		{"path_startswith", list().PathStartswith("staff"), "ada"},
		{"type", list().Type_([]string{"external"}), "ada"},
		{"uuid", list().Uuid(made.Uuid), "ada"},
		{"attributes", list().Attributes(`{"desk": 4}`), "ada"},
		{"search", list().Search("LOVE"), "ada"},
		{"ordering", list().Ordering("-username"), "bob akadmin ada"},
		{"page", list().PageSize(2).Page(2), "bob"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(u api.User) string { return u.Username })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.CoreApi.CoreUsersUpdate(t.Context(), made.Pk).UserRequest(
		api.UserRequest{Username: "ada", Name: "Ada"}).Execute)
	made.Name = "Ada"
	same(t, put, made)
	patched := ok(t, 200, c.CoreApi.CoreUsersPartialUpdate(t.Context(), made.Pk).PatchedUserRequest(
		api.PatchedUserRequest{IsActive: api.PtrBool(false), Attributes: object{}}).Execute)
	made.IsActive, made.Attributes = api.PtrBool(false), object{}
	same(t, patched, made)
	no(t, 400, "", create(api.UserRequest{Username: "bob", Name: "x"}).Execute)
	no(t, 400, `{"groups":["Invalid pk \"00000000-0000-4000-8000-000000000000\" - object does not exist."]}`,
		create(api.UserRequest{Username: "eve", Name: "x", Groups: []string{"00000000-0000-4000-8000-000000000000"}}).Execute)

	done(t, 204, c.CoreApi.CoreUsersSetPasswordCreate(t.Context(), made.Pk).
		UserPasswordSetRequest(api.UserPasswordSetRequest{Password: "correct horse battery"}).Execute)
	never(t, 400, "", c.CoreApi.CoreUsersSetPasswordCreate(t.Context(), made.Pk).
		UserPasswordSetRequest(api.UserPasswordSetRequest{Password: "short"}).Execute)

	token(t, c, made.Pk, "of-ada")
	used := ok(t, 200, c.CoreApi.CoreUsersUsedByList(t.Context(), made.Pk).Execute)
	if !slices.ContainsFunc(used, func(u api.UsedBy) bool { return u.ModelName == "token" }) {
		t.Errorf("no token in %+v", used)
	}
	done(t, 204, c.CoreApi.CoreUsersDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.CoreApi.CoreUsersRetrieve(t.Context(), made.Pk).Execute)
	no(t, 404, "", c.CoreApi.CoreTokensRetrieve(t.Context(), "of-ada").Execute)
	never(t, 400, "", c.CoreApi.CoreUsersDestroy(t.Context(), 1).Execute) // the last superuser stays
	again := ok(t, 201, create(api.UserRequest{Username: "eve", Name: ""}).Execute)
	if again.Pk <= plain.Pk {
		t.Errorf("pk %d was given out again", again.Pk)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	ada, _ := user(t, s, "ada")
	top := group(t, c, api.GroupRequest{Name: "top", IsSuperuser: api.PtrBool(true)})
	made := group(t, c, api.GroupRequest{Name: "crew", Parent: maybe(top.Pk), Users: []int32{ada.Pk}, Attributes: object{"floor": "3"}})
	same(t, []any{made.Name, *made.IsSuperuser, *made.Parent.Get(), *made.ParentName.Get(), made.Users, made.Attributes},
		[]any{"crew", false, top.Pk, "top", []int32{ada.Pk}, object{"floor": "3"}})
	same(t, keys(made.UsersObj, func(m api.GroupMember) string { return m.Username }), []string{"ada"})
	same(t, ok(t, 200, c.CoreApi.CoreGroupsRetrieve(t.Context(), made.Pk).Execute), made)
	same(t, ok(t, 200, c.CoreApi.CoreUsersRetrieve(t.Context(), ada.Pk).Execute).IsSuperuser, true) // through the parent
	lean := ok(t, 200, c.CoreApi.CoreGroupsRetrieve(t.Context(), made.Pk).IncludeUsers(false).Execute)
	same(t, lean.UsersObj, nil)
	same(t, lean.Users, made.Users)

	list := func() api.ApiCoreGroupsListRequest { return c.CoreApi.CoreGroupsList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiCoreGroupsListRequest
		want    string
	}{
		{"all", list(), "authentik Admins, crew, top"},
		{"name", list().Name("crew"), "crew"},
		{"name is whole", list().Name("cre"), ""},
		{"is_superuser", list().IsSuperuser(true), "authentik Admins, top"},
		{"members_by_pk", list().MembersByPk([]int32{ada.Pk}), "crew"},
		{"members_by_username", list().MembersByUsername([]string{"ada"}), "crew"},
		{"attributes", list().Attributes(`{"floor": "3"}`), "crew"},
		{"search", list().Search("CREW"), "crew"},
		{"ordering", list().Ordering("-name"), "top, crew, authentik Admins"},
		{"page", list().PageSize(2).Page(2), "top"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(g api.Group) string { return g.Name })
			same(t, strings.Join(found, ", "), test.want)
		})
	}

	account := api.UserAccountRequest{Pk: ada.Pk}
	done(t, 204, c.CoreApi.CoreGroupsRemoveUserCreate(t.Context(), made.Pk).UserAccountRequest(account).Execute)
	same(t, ok(t, 200, c.CoreApi.CoreGroupsRetrieve(t.Context(), made.Pk).Execute).Users, []int32{})
	done(t, 204, c.CoreApi.CoreGroupsAddUserCreate(t.Context(), made.Pk).UserAccountRequest(account).Execute)
	done(t, 204, c.CoreApi.CoreGroupsAddUserCreate(t.Context(), made.Pk).UserAccountRequest(account).Execute)
	same(t, ok(t, 200, c.CoreApi.CoreGroupsRetrieve(t.Context(), made.Pk).Execute).Users, []int32{ada.Pk})
	never(t, 404, "", c.CoreApi.CoreGroupsAddUserCreate(t.Context(), made.Pk).UserAccountRequest(api.UserAccountRequest{Pk: 4711}).Execute)

	put := ok(t, 200, c.CoreApi.CoreGroupsUpdate(t.Context(), made.Pk).GroupRequest(api.GroupRequest{Name: "crew two"}).Execute)
	made.Name = "crew two"
	same(t, put, made)
	patched := ok(t, 200, c.CoreApi.CoreGroupsPartialUpdate(t.Context(), made.Pk).PatchedGroupRequest(
		api.PatchedGroupRequest{IsSuperuser: api.PtrBool(true), Attributes: object{}}).Execute)
	made.IsSuperuser, made.Attributes = api.PtrBool(true), object{}
	same(t, patched, made)
	no(t, 400, "", c.CoreApi.CoreGroupsPartialUpdate(t.Context(), top.Pk).PatchedGroupRequest(
		api.PatchedGroupRequest{Parent: maybe(made.Pk)}).Execute) // a circle
	no(t, 400, "", c.CoreApi.CoreGroupsCreate(t.Context()).GroupRequest(api.GroupRequest{Name: "top"}).Execute)

	sent := rule(t, c, api.NotificationRuleRequest{Name: "acceptance-rule", Group: maybe(made.Pk)})
	used := ok(t, 200, c.CoreApi.CoreGroupsUsedByList(t.Context(), made.Pk).Execute)
	has(t, keys(used, func(u api.UsedBy) string { return u.ModelName + " " + u.Pk + " " + string(u.Action) }),
		"notificationrule "+sent.Pk+" set_null")
	done(t, 204, c.CoreApi.CoreGroupsDestroy(t.Context(), made.Pk).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.CoreApi.CoreGroupsRetrieve(t.Context(), made.Pk).Execute)
	same(t, ok(t, 200, c.EventsApi.EventsRulesRetrieve(t.Context(), sent.Pk).Execute).Group.Get(), (*string)(nil))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	ada, _ := user(t, s, "ada")
	intent := api.INTENTENUM_API
	expires := time.Now().UTC().Add(48 * time.Hour).Truncate(time.Second)
	made := ok(t, 201, c.CoreApi.CoreTokensCreate(t.Context()).TokenRequest(api.TokenRequest{
		Identifier: "acceptance-one", Intent: &intent, User: &ada.Pk, Description: api.PtrString("for <b>tests</b>"),
		Expires: *api.NewNullableTime(&expires), Expiring: api.PtrBool(true)}).Execute)
	same(t, []any{made.Identifier, *made.Intent, *made.User, *made.Description, *made.Expiring, made.UserObj.Username},
		[]any{"acceptance-one", intent, ada.Pk, "for <b>tests</b>", true, "ada"})
	same(t, made.Expires.Get().UTC(), expires)
	same(t, ok(t, 200, c.CoreApi.CoreTokensRetrieve(t.Context(), made.Identifier).Execute), made)

	list := func() api.ApiCoreTokensListRequest { return c.CoreApi.CoreTokensList(t.Context()) }
	for _, test := range []struct {
		filter  string
		request api.ApiCoreTokensListRequest
		want    string
	}{
		{"identifier", list().Identifier("acceptance-one"), "acceptance-one"},
		{"identifier is whole", list().Identifier("acceptance"), ""},
		{"description", list().Description("for <b>tests</b>"), "acceptance-one"},
		{"expires", list().Expires(expires), "acceptance-one"},
		{"expiring", list().Expiring(true).Search("acceptance"), "acceptance-one"},
		{"intent", list().Intent("recovery"), ""},
		{"user__username", list().UserUsername("ada"), "acceptance-one token-of-ada"},
		{"search", list().Search("ACCEPTANCE"), "acceptance-one"},
		{"ordering", list().UserUsername("ada").Ordering("-identifier"), "token-of-ada acceptance-one"},
		{"page", list().UserUsername("ada").PageSize(1).Page(2), "token-of-ada"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			found := keys(ok(t, 200, test.request.Execute).Results, func(u api.Token) string { return u.Identifier })
			same(t, strings.Join(found, " "), test.want)
		})
	}

	put := ok(t, 200, c.CoreApi.CoreTokensUpdate(t.Context(), made.Identifier).TokenRequest(
		api.TokenRequest{Identifier: "acceptance-one"}).Execute)
	same(t, put, made)
	patched := ok(t, 200, c.CoreApi.CoreTokensPartialUpdate(t.Context(), made.Identifier).PatchedTokenRequest(
		api.PatchedTokenRequest{Description: api.PtrString("changed")}).Execute)
	made.Description = api.PtrString("changed")
	same(t, patched, made)
	past := time.Now().UTC().Add(-time.Hour)
	no(t, 400, "", c.CoreApi.CoreTokensPartialUpdate(t.Context(), made.Identifier).PatchedTokenRequest(
		api.PatchedTokenRequest{Expires: *api.NewNullableTime(&past)}).Execute)
	no(t, 400, "", c.CoreApi.CoreTokensCreate(t.Context()).TokenRequest(api.TokenRequest{Identifier: "acceptance-one"}).Execute)

	key := uuid.NewString() // 36 characters
	done(t, 204, c.CoreApi.CoreTokensSetKeyCreate(t.Context(), made.Identifier).TokenSetKeyRequest(api.TokenSetKeyRequest{Key: key}).Execute)
	same(t, ok(t, 200, s.client(key).CoreApi.CoreUsersMeRetrieve(t.Context()).Execute).User.Username, "ada")
	never(t, 400, "", c.CoreApi.CoreTokensSetKeyCreate(t.Context(), made.Identifier).TokenSetKeyRequest(api.TokenSetKeyRequest{Key: "short"}).Execute)
	no(t, 403, "", c.CoreApi.CoreTokensViewKeyRetrieve(t.Context(), made.Identifier).Execute)
	same(t, len(ok(t, 200, c.CoreApi.CoreTokensUsedByList(t.Context(), made.Identifier).Execute)), 0)
	done(t, 204, c.CoreApi.CoreTokensDestroy(t.Context(), made.Identifier).Execute)
	no(t, 404, `{"detail":"Not found."}`, c.CoreApi.CoreTokensRetrieve(t.Context(), made.Identifier).Execute)
	no(t, 403, `{"detail":"Token invalid/expired"}`, s.client(key).CoreApi.CoreUsersMeRetrieve(t.Context()).Execute)
}

func TestTokenKeyIsShownOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.admin()
	key := token(t, c, 1, "shown-once")
	if !strings.HasPrefix(key, "blf_") {
		t.Errorf("key %q", key)
	}
	for _, path := range []string{"/core/tokens/shown-once/", "/core/tokens/", "/events/events/?page_size=1000"} {
		if got := call(t, t.Context(), c, "GET", path, nil).want(t, 200); strings.Contains(string(got.body), key) {
			t.Errorf("the key stands in %s", path)
		}
	}
	if strings.Contains(s.logs.String(), key) || strings.Contains(s.logs.String(), adminToken) {
		t.Error("a key stands in the log")
	}
}
