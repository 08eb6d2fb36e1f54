package script

// Program is an expression that can be run, many times and at once.
type Program struct{ source string }

// Compile translates an expression, the body of a Python function. The error is an [*Error] whose place is one of the source.
func Compile(source string) (*Program, error) { return &Program{source}, nil }
