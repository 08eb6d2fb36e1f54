package identity

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"strings"
	"unicode"

	"belfry/internal/drf"
	"belfry/internal/trail"
)

// User is a person or a program that can sign in, own tokens and receive notifications.
// Times are UTC microseconds. The password's hash is never loaded into it.
type User struct {
	PK                      int64
	UUID                    string
	Username, Name, Email   string
	Path, Type              string
	IsActive                bool
	Attributes              drf.JSON
	DateJoined, LastUpdated int64
	LastLogin               *int64
	PasswordChanged         int64
	IsSuperuser             bool     // by its groups and their ancestors
	Groups                  []string // pks of the groups that it is a direct member of, by name
	GroupsObj               []Group  // the same groups, without members; nil is answered as null
}

// maxUsername is how many characters a user name has at most.
const maxUsername = 150

// UserPatch is what a request may say of a user.
type UserPatch struct {
	Username, Name, Email, Path, Type drf.Field[string]
	IsActive                          drf.Field[bool]
	LastLogin                         drf.Field[int64]
	Groups                            drf.Field[[]string]
	Attributes                        drf.Field[drf.JSON]
}

// apply stores the fields that the patch has, but for the groups, which are rows of their own.
func (p *UserPatch) apply(u *User) {
	p.Username.Apply(&u.Username)
	p.Name.Apply(&u.Name)
	p.Email.Apply(&u.Email)
	p.Path.Apply(&u.Path)
	p.Type.Apply(&u.Type)
	p.IsActive.Apply(&u.IsActive)
	p.LastLogin.ApplyNull(&u.LastLogin)
	p.Attributes.Apply(&u.Attributes)
}

// check adds what can be wrong with the patch whatever the database holds.
func (p *UserPatch) check(errs *drf.Errors) {
	path := p.Path.Value
	switch {
	case !p.Path.Set:
	case strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/"):
		errs.Add("path", "No leading or trailing slashes allowed.")
	case strings.Contains(path, "//"):
		errs.Add("path", "No empty segments in user path allowed.")
	}
}

// uid is an opaque name of the user that other systems may keep.
func (u *User) uid() string {
	sum := sha256.Sum256([]byte(u.UUID))
	return hex.EncodeToString(sum[:])
}

// avatar is a picture of the user's initial as a data: URI, so that nothing is fetched from elsewhere.
func (u *User) avatar() string {
	initial := "?"
	for _, r := range u.Name + u.Username {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			initial = string(unicode.ToUpper(r))
			break
		}
	}
	svg := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="hsl(%d,45%%,40%%)"/>`+
		`<text x="32" y="43" font-family="sans-serif" font-size="32" text-anchor="middle" fill="#fff">%s</text></svg>`,
		u.PK*47%360, html.EscapeString(initial))
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))
}

var userTypes = &drf.Choices{
	Name:   "UserTypeEnum",
	Values: []string{"internal", "external", "service_account", "internal_service_account"},
}

// none is the patch of what is only answered.
type none struct{}

// role stands for authentik's roles, of which Belfry has none: the lists of them are empty.
type role struct{ PK, Name string }

var roleSerializer = drf.NewSerializer("Role",
	drf.UUID[role, none]("pk", func(r *role) string { return r.PK }),
	drf.Text[role, none]("name", func(r *role) string { return r.Name }, nil),
)

const (
	helpUserName   = "User's display name."
	helpUserActive = "Designates whether this user should be treated as active. Unselect this instead of deleting accounts."
	helpAttributes = `Attributes that must be equal, as a JSON object such as {"department":"IT"}.`
	helpAvatar     = "User's avatar, either a http/https URL or a data URI"
)

// UserSerializer reads and writes users.
var UserSerializer = drf.NewSerializer("User",
	drf.Int[User, UserPatch]("pk", func(u *User) int64 { return u.PK }, nil),
	drf.Text("username", func(u *User) string { return u.Username },
		func(p *UserPatch) *drf.Field[string] { return &p.Username }, drf.Required(), drf.MaxLength(maxUsername)),
	drf.Text("name", func(u *User) string { return u.Name },
		func(p *UserPatch) *drf.Field[string] { return &p.Name }, drf.Required(), drf.AllowBlank(), drf.Help(helpUserName)),
	drf.Bool("is_active", func(u *User) bool { return u.IsActive },
		func(p *UserPatch) *drf.Field[bool] { return &p.IsActive }, drf.Help(helpUserActive)),
	drf.NullTime("last_login", func(u *User) *int64 { return u.LastLogin },
		func(p *UserPatch) *drf.Field[int64] { return &p.LastLogin }),
	drf.Bool[User, UserPatch]("is_superuser", func(u *User) bool { return u.IsSuperuser }, nil),
	drf.Refs("groups", func(u *User) []string { return u.Groups },
		func(p *UserPatch) *drf.Field[[]string] { return &p.Groups }),
	drf.NestedList[User, UserPatch]("groups_obj", userGroupSerializer,
		func(u *User) []Group { return u.GroupsObj }, drf.Nullable()),
	drf.Email("email", func(u *User) string { return u.Email },
		func(p *UserPatch) *drf.Field[string] { return &p.Email }, drf.AllowBlank(), drf.MaxLength(254)),
	drf.Text[User, UserPatch]("avatar", (*User).avatar, nil, drf.Help(helpAvatar)),
	drf.Object("attributes", func(u *User) drf.JSON { return u.Attributes },
		func(p *UserPatch) *drf.Field[drf.JSON] { return &p.Attributes }),
	drf.Text[User, UserPatch]("uid", (*User).uid, nil),
	drf.Text("path", func(u *User) string { return u.Path },
		func(p *UserPatch) *drf.Field[string] { return &p.Path }),
	drf.Choice("type", userTypes, func(u *User) string { return u.Type },
		func(p *UserPatch) *drf.Field[string] { return &p.Type }),
	drf.UUID[User, UserPatch]("uuid", func(u *User) string { return u.UUID }),
	drf.Refs[User, UserPatch]("roles", func(*User) []string { return []string{} }, nil, drf.Since("2026.5")),
	drf.NestedList[User, UserPatch]("roles_obj", roleSerializer,
		func(*User) []role { return []role{} }, drf.Since("2026.8")),
	drf.Time[User, UserPatch]("date_joined", func(u *User) int64 { return u.DateJoined }, nil, drf.Since("2026.8")),
	drf.Time[User, UserPatch]("last_updated", func(u *User) int64 { return u.LastUpdated }, nil, drf.Since("2026.8")),
	drf.Time[User, UserPatch]("password_change_date", func(u *User) int64 { return u.PasswordChanged }, nil, drf.Since("2026.8")),
)

// userKind is how users stand in the trail.
var userKind = trail.Kind[User, UserPatch]{
	App: coreApp, Model: "user", Serializer: UserSerializer,
	PK:   func(u *User) drf.JSON { return trail.IntPK(u.PK) },
	Name: func(u *User) string { return u.Username },
}

// memberSerializer writes a user as a member of a group.
var memberSerializer = drf.NewSerializer("GroupMember",
	drf.Int[User, none]("pk", func(u *User) int64 { return u.PK }, nil),
	drf.Text[User, none]("username", func(u *User) string { return u.Username }, nil),
	drf.Text[User, none]("name", func(u *User) string { return u.Name }, nil, drf.Help(helpUserName)),
	drf.Bool[User, none]("is_active", func(u *User) bool { return u.IsActive }, nil, drf.Help(helpUserActive)),
	drf.NullTime[User, none]("last_login", func(u *User) *int64 { return u.LastLogin }, nil),
	drf.Email[User, none]("email", func(u *User) string { return u.Email }, nil),
	drf.Object[User, none]("attributes", func(u *User) drf.JSON { return u.Attributes }, nil),
	drf.Text[User, none]("uid", (*User).uid, nil),
)

// SessionUser is the answer of users/me/: the caller, whose GroupsObj hold the ancestors of its groups too.
type SessionUser struct{ User User }

// SessionUserSerializer writes the answer of users/me/.
var SessionUserSerializer = drf.NewSerializer("SessionUser",
	drf.Nested[SessionUser, none]("user", userSelfSerializer, func(s *SessionUser) *User { return &s.User }, nil),
	// Later releases list everybody who is signed in in the same browser. A token is of one user.
	drf.NestedList[SessionUser, none]("users", userSelfSerializer, func(s *SessionUser) []User { return []User{s.User} }, drf.Since("2026.8")),
)

var userSelfSerializer = drf.NewSerializer("UserSelf",
	drf.Int[User, none]("pk", func(u *User) int64 { return u.PK }, nil),
	drf.Text[User, none]("username", func(u *User) string { return u.Username }, nil),
	drf.Text[User, none]("name", func(u *User) string { return u.Name }, nil, drf.Help(helpUserName)),
	drf.Bool[User, none]("is_active", func(u *User) bool { return u.IsActive }, nil, drf.Help(helpUserActive)),
	drf.Bool[User, none]("is_superuser", func(u *User) bool { return u.IsSuperuser }, nil),
	drf.NestedList[User, none]("groups", userSelfGroupsSerializer, func(u *User) []Group { return u.GroupsObj }),
	drf.Email[User, none]("email", func(u *User) string { return u.Email }, nil),
	drf.Text[User, none]("avatar", (*User).avatar, nil, drf.Help(helpAvatar)),
	drf.Text[User, none]("uid", (*User).uid, nil),
	drf.Object[User, none]("settings", func(*User) drf.JSON { return "{}" }, nil),
	drf.Choice[User, none]("type", userTypes, func(u *User) string { return u.Type }, nil),
	drf.Strings[User, none]("system_permissions", nil, func(*User) []string { return []string{} }, nil),
	drf.NestedList[User, none]("roles", roleSerializer, func(*User) []role { return []role{} }, drf.Since("2026.8")),
	drf.Bool[User, none]("is_current", func(*User) bool { return true }, nil, drf.Since("2026.8")),
)

var userSelfGroupsSerializer = drf.NewSerializer("UserSelfGroups",
	drf.Text[Group, none]("name", func(g *Group) string { return g.Name }, nil),
	drf.Text[Group, none]("pk", func(g *Group) string { return g.PK }, nil),
)

// passwordInput is the body of set_password.
type passwordInput struct{ Password drf.Field[string] }

// UserPasswordSetSerializer reads the body of set_password. White space is part of a password.
var UserPasswordSetSerializer = drf.NewSerializer("UserPasswordSet",
	drf.Text[none]("password", nil, func(p *passwordInput) *drf.Field[string] { return &p.Password }, drf.Required(), drf.KeepSpace()),
)

// accountInput is the body of add_user and remove_user.
type accountInput struct{ PK drf.Field[int64] }

// UserAccountSerializer reads the body of add_user and remove_user.
var UserAccountSerializer = drf.NewSerializer("UserAccount",
	drf.Int[none]("pk", nil, func(p *accountInput) *drf.Field[int64] { return &p.PK }, drf.Required()),
)

// UserList says what the list of users takes.
var UserList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "username"}, {Name: "name"}, {Name: "email"},
		{Name: "path"}, {Name: "path_startswith"},
		{Name: "is_active", Kind: drf.FilterBool}, {Name: "is_superuser", Kind: drf.FilterBool},
		{Name: "uuid", Kind: drf.FilterUUID},
		{Name: "type", Kind: drf.FilterChoices, Choices: userTypes},
		{Name: "groups_by_name", Kind: drf.FilterTexts}, {Name: "groups_by_pk", Kind: drf.FilterUUIDs},
		{Name: "include_groups", Kind: drf.FilterBool}, {Name: "attributes", Help: helpAttributes},
	},
	Search: true,
	Orderings: []string{"pk", "username", "name", "is_active", "last_login", "email", "path", "type", "uuid",
		"date_joined", "last_updated", "password_change_date"},
	Default: []string{"username"},
}
