package drf

// Kind is one line of a list of the kinds of things that there can be: actions of events, policies.
type Kind struct{ Name, Description, Component, ModelName string }

// KindSerializer writes a kind as authentik writes the types of what can be created.
var KindSerializer = NewSerializer("TypeCreate",
	Text[Kind, struct{}]("name", func(k *Kind) string { return k.Name }, nil),
	Text[Kind, struct{}]("description", func(k *Kind) string { return k.Description }, nil),
	Text[Kind, struct{}]("component", func(k *Kind) string { return k.Component }, nil),
	Text[Kind, struct{}]("model_name", func(k *Kind) string { return k.ModelName }, nil),
	Bool[Kind, struct{}]("requires_enterprise", func(*Kind) bool { return false }, nil),
)
