package identity

import (
	"belfry/internal/drf"
	"belfry/internal/trail"
)

// Group is a set of users, who are notified together and may be superusers by it.
type Group struct {
	PK                 string
	NumPK              int64
	Name               string
	IsSuperuser        bool // members of the group and of its descendants are superusers
	Parent, ParentName *string
	Attributes         drf.JSON
	Users              []int64 // pks of the direct members, ascending
	UsersObj           []User  // the same members; nil is answered as null
	Parents, Children  []Group // at most one parent; both without members
}

// GroupPatch is what a request may say of a group.
type GroupPatch struct {
	Name        drf.Field[string]
	IsSuperuser drf.Field[bool]
	Parent      drf.Field[string]
	Parents     drf.Field[[]string] // the later name of Parent; counts if both are sent
	Users       drf.Field[[]int64]
	Attributes  drf.Field[drf.JSON]
}

// parent is the patch's parent under either of its names, and the name that it goes by.
func (p *GroupPatch) parent() (parent drf.Field[string], field string) {
	if !p.Parents.Set {
		return p.Parent, "parent"
	}
	if len(p.Parents.Value) == 0 {
		return drf.Field[string]{Set: true, Null: true}, "parents"
	}
	return drf.Some(p.Parents.Value[0]), "parents"
}

// check adds what can be wrong with the patch whatever the database holds.
func (p *GroupPatch) check(errs *drf.Errors) {
	if len(p.Parents.Value) > 1 {
		errs.Add("parents", "A group has one parent at most.")
	}
}

// apply stores the fields that the patch has, but for the members, which are rows of their own.
func (p *GroupPatch) apply(g *Group) {
	p.Name.Apply(&g.Name)
	p.IsSuperuser.Apply(&g.IsSuperuser)
	parent, _ := p.parent()
	parent.ApplyNull(&g.Parent)
	p.Attributes.Apply(&g.Attributes)
}

// usedByName is how the group is called in a used_by answer.
func (g *Group) usedByName() string { return "Group " + g.Name }

func (g *Group) parents() []string  { return pksOf(g.Parents) }
func (g *Group) children() []string { return pksOf(g.Children) }

func pksOf(groups []Group) []string {
	pks := make([]string, len(groups))
	for i := range groups {
		pks[i] = groups[i].PK
	}
	return pks
}

const helpGroupSuperuser = "Users added to this group will be superusers."

// GroupSerializer reads and writes groups.
var GroupSerializer = drf.NewSerializer("Group",
	drf.UUID[Group, GroupPatch]("pk", func(g *Group) string { return g.PK }),
	drf.Int[Group, GroupPatch]("num_pk", func(g *Group) int64 { return g.NumPK }, nil),
	drf.Text("name", func(g *Group) string { return g.Name },
		func(p *GroupPatch) *drf.Field[string] { return &p.Name }, drf.Required(), drf.MaxLength(80)),
	drf.Bool("is_superuser", func(g *Group) bool { return g.IsSuperuser },
		func(p *GroupPatch) *drf.Field[bool] { return &p.IsSuperuser }, drf.Help(helpGroupSuperuser)),
	drf.Ref("parent", func(g *Group) *string { return g.Parent },
		func(p *GroupPatch) *drf.Field[string] { return &p.Parent }, drf.Nullable()),
	drf.NullText[Group, GroupPatch]("parent_name", func(g *Group) *string { return g.ParentName }, nil),
	drf.IntRefs("users", func(g *Group) []int64 { return g.Users },
		func(p *GroupPatch) *drf.Field[[]int64] { return &p.Users }),
	drf.NestedList[Group, GroupPatch]("users_obj", memberSerializer,
		func(g *Group) []User { return g.UsersObj }, drf.Nullable()),
	drf.Object("attributes", func(g *Group) drf.JSON { return g.Attributes },
		func(p *GroupPatch) *drf.Field[drf.JSON] { return &p.Attributes }),
	drf.Refs[Group, GroupPatch]("roles", func(*Group) []string { return []string{} }, nil),
	drf.NestedList[Group, GroupPatch]("roles_obj", roleSerializer, func(*Group) []role { return []role{} }),
	drf.NestedList[Group, GroupPatch]("inherited_roles_obj", roleSerializer,
		func(*Group) []role { return []role{} }, drf.Since("2026.8")),
	drf.Refs("parents", (*Group).parents,
		func(p *GroupPatch) *drf.Field[[]string] { return &p.Parents }, drf.Since("2026.5"), drf.Untracked()),
	drf.NestedList[Group, GroupPatch]("parents_obj", relatedGroupSerializer,
		func(g *Group) []Group { return g.Parents }, drf.Since("2026.8")),
	drf.Refs[Group, GroupPatch]("children", (*Group).children, nil, drf.Since("2026.8")),
	drf.NestedList[Group, GroupPatch]("children_obj", relatedGroupSerializer,
		func(g *Group) []Group { return g.Children }, drf.Since("2026.8")),
)

// groupKind is how groups stand in the trail.
var groupKind = trail.Kind[Group, GroupPatch]{
	App: coreApp, Model: "group", Serializer: GroupSerializer,
	PK:   func(g *Group) drf.JSON { return trail.HexPK(g.PK) },
	Name: func(g *Group) string { return g.Name },
}

// userGroupSerializer writes a group as one of a user's.
var userGroupSerializer = drf.NewSerializer("UserGroup",
	drf.UUID[Group, none]("pk", func(g *Group) string { return g.PK }),
	drf.Int[Group, none]("num_pk", func(g *Group) int64 { return g.NumPK }, nil),
	drf.Text[Group, none]("name", func(g *Group) string { return g.Name }, nil),
	drf.Bool[Group, none]("is_superuser", func(g *Group) bool { return g.IsSuperuser }, nil, drf.Help(helpGroupSuperuser)),
	drf.Ref[Group, none]("parent", func(g *Group) *string { return g.Parent }, nil, drf.Nullable()),
	drf.NullText[Group, none]("parent_name", func(g *Group) *string { return g.ParentName }, nil),
	drf.Object[Group, none]("attributes", func(g *Group) drf.JSON { return g.Attributes }, nil),
)

// relatedGroupSerializer writes a group as another's parent or child.
var relatedGroupSerializer = drf.NewSerializer("RelatedGroup",
	drf.UUID[Group, none]("pk", func(g *Group) string { return g.PK }),
	drf.Text[Group, none]("name", func(g *Group) string { return g.Name }, nil),
	drf.Bool[Group, none]("is_superuser", func(g *Group) bool { return g.IsSuperuser }, nil, drf.Help(helpGroupSuperuser)),
	drf.Object[Group, none]("attributes", func(g *Group) drf.JSON { return g.Attributes }, nil),
	drf.UUID[Group, none]("group_uuid", func(g *Group) string { return g.PK }),
)

// GroupList says what the list of groups takes.
var GroupList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "name"}, {Name: "is_superuser", Kind: drf.FilterBool},
		{Name: "members_by_pk", Kind: drf.FilterTexts}, {Name: "members_by_username", Kind: drf.FilterTexts},
		{Name: "include_users", Kind: drf.FilterBool}, {Name: "attributes", Help: helpAttributes},
	},
	Search:    true,
	Orderings: []string{"pk", "num_pk", "name", "is_superuser", "parent", "parent__name"},
	Default:   []string{"name"},
}
