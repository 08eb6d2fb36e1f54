package identity

import (
	"time"

	"belfry/internal/drf"
	"belfry/internal/trail"
)

// intentAPI is the only intent whose tokens are bearers.
const intentAPI = "api"

// tokenLife is how long a token lasts that was made without a time.
const tokenLife = 365 * 24 * time.Hour

// Token is a credential of a user. Its key is stored as a hash, which is never loaded into it.
type Token struct {
	PK, Identifier      string
	UserPK              int64
	User                User
	Intent, Description string
	Expiring            bool
	Expires             int64 // UTC microseconds; means nothing unless Expiring
	Scopes              Scopes
	Key                 string // only in the answer to the request that made the token
}

// usedByName is how the token is called in a used_by answer.
func (t *Token) usedByName() string {
	if !t.Expiring {
		return t.Identifier
	}
	return t.Identifier + " (expires=" + time.UnixMicro(t.Expires).UTC().Format("2006-01-02 15:04:05.999999-07:00") + ")"
}

// TokenPatch is what a request may say of a token.
type TokenPatch struct {
	Identifier, Intent, Description drf.Field[string]
	User                            drf.Field[int64]
	Expires                         drf.Field[int64]
	Expiring                        drf.Field[bool]
	Scopes                          drf.Field[[]string]
}

// apply stores the fields that the patch has. A null time is the default again.
func (p *TokenPatch) apply(t *Token, now int64) {
	p.Identifier.Apply(&t.Identifier)
	p.Intent.Apply(&t.Intent)
	p.Description.Apply(&t.Description)
	p.User.Apply(&t.UserPK)
	p.Expires.Apply(&t.Expires)
	if p.Expires.Null {
		t.Expires = now + tokenLife.Microseconds()
	}
	p.Expiring.Apply(&t.Expiring)
	if p.Scopes.Set {
		t.Scopes = scopesOf(p.Scopes.Value)
	}
}

// check adds what can be wrong with the patch whatever the database holds.
func (p *TokenPatch) check(errs *drf.Errors, caller Caller, now int64) {
	if p.Expires.Set && !p.Expires.Null && p.Expires.Value <= now && !errs.Has("expires") {
		errs.Add("expires", "The time must lie in the future.")
	}
	for _, name := range scopesOf(p.Scopes.Value).Names() {
		if !caller.Scopes.Has(scopesOf([]string{name})) {
			errs.Add("scopes", `The request itself lacks the scope "`+name+`".`)
		}
	}
}

var tokenIntents = &drf.Choices{Name: "IntentEnum", Values: []string{"verification", intentAPI, "recovery", "app_password"}}

const helpManaged = "Objects that are managed by authentik. These objects are created and updated automatically. " +
	"This flag only indicates that an object can be overwritten by migrations. You can still modify the objects via the API, " +
	"but expect changes to be overwritten in a later update."

func tokenFields() []drf.Def[Token, TokenPatch] {
	return []drf.Def[Token, TokenPatch]{
		drf.UUID[Token, TokenPatch]("pk", func(t *Token) string { return t.PK }),
		drf.NullText[Token, TokenPatch]("managed", func(*Token) *string { return nil }, nil, drf.Help(helpManaged)),
		drf.Slug("identifier", func(t *Token) string { return t.Identifier },
			func(p *TokenPatch) *drf.Field[string] { return &p.Identifier }, drf.Required(), drf.MaxLength(255)),
		drf.Choice("intent", tokenIntents, func(t *Token) string { return t.Intent },
			func(p *TokenPatch) *drf.Field[string] { return &p.Intent }),
		drf.IntRef("user", func(t *Token) *int64 { return &t.UserPK },
			func(p *TokenPatch) *drf.Field[int64] { return &p.User }),
		drf.Nested[Token, TokenPatch]("user_obj", UserSerializer, func(t *Token) *User { return &t.User }, nil),
		drf.Text("description", func(t *Token) string { return t.Description },
			func(p *TokenPatch) *drf.Field[string] { return &p.Description }, drf.AllowBlank()),
		drf.NullTime("expires", func(t *Token) *int64 { return &t.Expires },
			func(p *TokenPatch) *drf.Field[int64] { return &p.Expires }),
		drf.Bool("expiring", func(t *Token) bool { return t.Expiring },
			func(p *TokenPatch) *drf.Field[bool] { return &p.Expiring }),
		drf.Strings("scopes", scopeChoices, func(t *Token) []string { return t.Scopes.Names() },
			func(p *TokenPatch) *drf.Field[[]string] { return &p.Scopes },
			drf.Help("What the token may be used for; those of the request that makes it, unless given.")),
	}
}

// TokenSerializer reads and writes tokens, without their keys.
var TokenSerializer = drf.NewSerializer("Token", tokenFields()...)

// tokenKind is how tokens stand in the trail.
var tokenKind = trail.Kind[Token, TokenPatch]{
	App: coreApp, Model: "token", Serializer: TokenSerializer,
	PK:   func(t *Token) drf.JSON { return trail.HexPK(t.PK) },
	Name: func(t *Token) string { return t.Identifier },
}

// TokenCreatedSerializer writes a token that was just made, with its key: nobody can read it again.
var TokenCreatedSerializer = drf.NewSerializer("TokenCreated", append(tokenFields(),
	drf.Text[Token, TokenPatch]("key", func(t *Token) string { return t.Key }, nil,
		drf.Help("The key, which is stored as a hash and shown this once.")))...)

// keyInput is the body of set_key.
type keyInput struct{ Key drf.Field[string] }

// TokenSetKeySerializer reads the body of set_key.
var TokenSetKeySerializer = drf.NewSerializer("TokenSetKey",
	drf.Text[none]("key", nil, func(p *keyInput) *drf.Field[string] { return &p.Key }, drf.Required(), drf.KeepSpace()),
)

// TokenList says what the list of tokens takes.
var TokenList = &drf.ListSpec{
	Filters: []drf.Filter{
		{Name: "identifier"}, {Name: "user__username"}, {Name: "description"},
		{Name: "intent", Kind: drf.FilterChoice, Choices: tokenIntents},
		{Name: "expires", Kind: drf.FilterTime}, {Name: "expiring", Kind: drf.FilterBool},
		{Name: "managed"},
	},
	Search:    true,
	Orderings: []string{"pk", "identifier", "intent", "user", "user__username", "description", "expires", "expiring"},
	Default:   []string{"identifier", "expires"},
}
