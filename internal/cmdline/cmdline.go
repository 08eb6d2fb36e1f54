// Package cmdline reads a command line: commands in a tree, their flags with environment variables and defaults, and the
// help for all of them.
//
// Nothing in it is called by a name that is made while the program runs. What does that (text/template, and the
// libraries for command lines that stand on it or find methods by reflection) has the linker keep every exported method
// of every type, and Belfry would be 3 MB larger.
package cmdline

import (
	"fmt"
	"strings"
)

// Command is a program, a group of commands, or a command.
type Command struct {
	Name, Help string
	Flags      []*Flag
	Args       []Arg // all are needed
	Commands   []*Command
	Default    *Command     // which of Commands is meant where none is named: its flags stand without its name then
	Run        func() error // nil for a group
}

// Flag is a --name, with a value unless it goes to a bool.
type Flag struct {
	Name, Help  string
	Env         string // the environment variable that counts where the flag is not given; "" for none
	Default     string
	Placeholder string // for its value in the help
	To          any    // a *string, a *bool, or a *[]string, which takes values with commas between, and the flag repeatedly

	short string // one letter, or ""
}

// Arg is a value without a name.
type Arg struct {
	Name, Help string
	To         *string
}

// takesValue reports whether the flag needs a value behind it.
func (f *Flag) takesValue() bool {
	_, ok := f.To.(*bool)
	return !ok
}

// clear forgets what a flag that is given repeatedly holds so far.
func (f *Flag) clear() {
	if list, ok := f.To.(*[]string); ok {
		*list = []string{}
	}
}

// set reads a value. What can be given repeatedly is added to.
func (f *Flag) set(text string) error {
	switch to := f.To.(type) {
	case *string:
		*to = text
	case *[]string:
		*to = append(*to, splitList(text)...)
	case *bool:
		yes, err := parseBool(strings.ToLower(text))
		*to = yes
		return err
	default:
		panic(fmt.Sprintf("cmdline: --%s goes to a %T", f.Name, f.To))
	}
	return nil
}

// splitList cuts at commas; behind the last one nothing needs to follow.
func splitList(text string) []string {
	list := strings.Split(text, ",")
	if last := len(list) - 1; list[last] == "" {
		return list[:last]
	}
	return list
}

func parseBool(text string) (bool, error) {
	switch text {
	case "true", "1", "yes":
		return true, nil
	case "false", "0", "no":
		return false, nil
	}
	return false, fmt.Errorf("bool value must be true, 1, yes, false, 0 or no but got %q", text)
}

// reset sets a flag to what counts where it is not given: its variable, else its default.
func (f *Flag) reset(env func(string) (string, bool)) error {
	f.clear()
	if text, ok := env(f.Env); ok && f.Env != "" {
		if err := f.set(text); err != nil {
			return fmt.Errorf("--%s: %w (from envar %s=%q)", f.Name, err, f.Env, text)
		}
		return nil
	}
	if f.Default != "" {
		return f.set(f.Default)
	}
	return nil
}

// Variables are the environment variables of all flags of the command and of those under it.
func (c *Command) Variables() (names []string) {
	for _, f := range c.Flags {
		if f.Env != "" {
			names = append(names, f.Env)
		}
	}
	for _, child := range c.Commands {
		names = append(names, child.Variables()...)
	}
	return names
}
