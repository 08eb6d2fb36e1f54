package drf

import "slices"

// Choices are the values that a choice field takes, in the order in which the schema lists them.
type Choices struct {
	Name   string // of the enum in the schema, such as SeverityEnum
	Values []string
	// Also, where set, accepts further values (custom_… actions); Pattern describes it for the schema.
	Also    func(string) bool
	Pattern string
}

// Has reports whether value is one of the choices.
func (c *Choices) Has(value string) bool {
	return slices.Contains(c.Values, value) || c.Also != nil && c.Also(value)
}

// Info is what a schema says of a field.
type Info struct {
	Name       string
	Type       string // string, boolean, integer, number, array, object, or "" for any
	Format     string // uuid, date-time, uri, email, ip, slug, double
	Choices    *Choices
	Items      *Info  // of an array
	Ref        *Shape // of a nested serializer
	Required   bool
	Nullable   bool
	ReadOnly   bool
	WriteOnly  bool
	NullAnswer bool // answered as null where there is none, whether null is accepted or not
	AllowBlank bool
	KeepSpace  bool // text is not trimmed
	MaxLength  int
	Min, Max   *int64
	Help       string
	Alias      string // a later name of the same field; wins when both are sent
	Since      string // release that brought the field or the alias
	Secret     bool   // a diff shows stars for the values
	Untracked  bool   // a diff leaves the field out

	valid func(text string) error // see Valid; nil for none
}

// Shape is a serializer as data: its name and what a schema says of its fields, in their order.
type Shape struct {
	Name   string
	Fields []Info
}

// Option changes one line of a serializer.
type Option func(*Info)

// Required makes a field required for POST and PUT.
func Required() Option { return func(i *Info) { i.Required = true } }

// Nullable lets a field be null.
func Nullable() Option { return func(i *Info) { i.Nullable = true } }

// NullAnswer says that a nested object is answered as null where there is none; a body may not say null for it.
func NullAnswer() Option { return func(i *Info) { i.NullAnswer = true } }

// AllowBlank lets text be "".
func AllowBlank() Option { return func(i *Info) { i.AllowBlank = true } }

// KeepSpace leaves white space around text alone.
func KeepSpace() Option { return func(i *Info) { i.KeepSpace = true } }

// MaxLength bounds text, in characters.
func MaxLength(n int) Option { return func(i *Info) { i.MaxLength = n } }

// Valid refuses text with the words of the error, where nothing else is wrong with it.
func Valid(check func(text string) error) Option { return func(i *Info) { i.valid = check } }

// Range bounds an integer; both ends are allowed values.
func Range(min, max int64) Option { return func(i *Info) { i.Min, i.Max = &min, &max } }

// Help is the field's description in the schema.
func Help(text string) Option { return func(i *Info) { i.Help = text } }

// Alias is a later name of the field and the release that brought it: both names are answered and accepted; the later counts.
func Alias(name, since string) Option { return func(i *Info) { i.Alias, i.Since = name, since } }

// Since names the release that brought a field.
func Since(release string) Option { return func(i *Info) { i.Since = release } }

// Secret hides a field's values in a diff. They are answered as they are: that is a matter of who asks.
func Secret() Option { return func(i *Info) { i.Secret = true } }

// Untracked leaves a field out of diffs, because another field says the same.
func Untracked() Option { return func(i *Info) { i.Untracked = true } }

// WriteOnly keeps a field out of every answer, though it has a value: a diff tells that it changed. It is for secrets.
func WriteOnly() Option { return func(i *Info) { i.WriteOnly = true } }
