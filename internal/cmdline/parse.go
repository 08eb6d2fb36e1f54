package cmdline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Call is what a command line asks for.
type Call struct {
	Help bool // for help, and nothing else

	path []*Command // from the program to the command
	help *Flag
}

// Name is the command's name behind that of the program, such as "token create".
func (c *Call) Name() string { return fullName(c.path[1:]) }

// Run runs the command.
func (c *Call) Run() error { return c.path[len(c.path)-1].Run() }

func fullName(path []*Command) string {
	var names []string
	for _, c := range path {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// parser is half way through a command line.
type parser struct {
	Call
	rest  []string // what has not been read
	plain bool     // behind a --: nothing is a flag any more
	taken int      // of the command's arguments
	given []*Flag  // on the command line, in their order
}

// Parse reads what stands behind the program's name, and the environment, into what the flags and arguments of the
// program point to. Of several mistakes it tells the first.
func (c *Command) Parse(args []string, env func(string) (string, bool)) (*Call, error) {
	p := &parser{rest: args}
	p.path = []*Command{c}
	p.help = &Flag{Name: "help", short: "h", To: &p.Help, Help: "Show context-sensitive help."}
	wrong := map[*Flag]error{} // of the environment: what is not asked for may be wrong
	c.reset(env, wrong)
	for len(p.rest) > 0 {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if p.Help = slices.Contains(p.given, p.help); p.Help {
		return &p.Call, nil
	}
	if fallback := p.command().Default; fallback != nil {
		p.enter(fallback)
	}
	for _, f := range slices.Concat(p.flags()...) {
		if wrong[f] != nil {
			return nil, wrong[f]
		}
	}
	return &p.Call, p.missing()
}

// reset sets all flags, of the commands that are not asked for too, to what counts where they are not given.
func (c *Command) reset(env func(string) (string, bool), wrong map[*Flag]error) {
	for _, f := range c.Flags {
		if err := f.reset(env); err != nil {
			wrong[f] = err
		}
	}
	for _, child := range c.Commands {
		child.reset(env, wrong)
	}
}

// command is the command that has been named so far.
func (c *Call) command() *Command { return c.path[len(c.path)-1] }

// flags are the flags of each step of the path that has any.
func (c *Call) flags() [][]*Flag {
	groups := [][]*Flag{append([]*Flag{c.help}, c.path[0].Flags...)}
	for _, step := range c.path[1:] {
		if len(step.Flags) > 0 {
			groups = append(groups, step.Flags)
		}
	}
	return groups
}

// known are the flags that may come next: those of the path, and of the command that is meant if no other is named.
func (p *parser) known() []*Flag {
	known := slices.Concat(p.flags()...)
	if fallback := p.command().Default; fallback != nil {
		known = append(known, fallback.Flags...)
	}
	return known
}

// next reads one flag with its value, or one other word.
func (p *parser) next() error {
	word := p.rest[0]
	p.rest = p.rest[1:]
	switch {
	case p.plain || word == "-" || !strings.HasPrefix(word, "-"):
		return p.word(word)
	case word == "--":
		p.plain = true
		return nil
	case strings.HasPrefix(word, "--"):
		name, value, attached := strings.Cut(word[2:], "=")
		return p.long("--"+name, value, attached)
	}
	for _, letter := range word[1:] {
		if err := p.long("-"+string(letter), "", false); err != nil {
			return err
		}
	}
	return nil
}

// word takes an argument, or goes on to the command of that name.
func (p *parser) word(word string) error {
	c := p.command()
	if p.taken < len(c.Args) {
		*c.Args[p.taken].To = word
		p.taken++
		return nil
	}
	var names []string
	for _, child := range c.Commands {
		if child.Name == word {
			return p.choose(c, child)
		}
		names = append(names, child.Name)
	}
	if c.Default != nil {
		p.enter(c.Default)
		return p.word(word)
	}
	return unknown("unexpected argument "+word, word, names)
}

// choose goes on to a command that was named. It may not be another than the one whose flags were given before.
func (p *parser) choose(c, child *Command) error {
	if c.Default != nil && c.Default != child {
		for _, f := range p.given {
			if slices.Contains(c.Default.Flags, f) {
				return fmt.Errorf("flag --%s applies to the default command %q, not %q", f.Name, c.Default.Name, child.Name)
			}
		}
	}
	p.enter(child)
	return nil
}

func (p *parser) enter(c *Command) { p.path, p.taken = append(p.path, c), 0 }

// long takes a flag by one of its names, with what is attached to it or, where it needs a value, the next word.
func (p *parser) long(name, value string, attached bool) error {
	var names []string
	for _, f := range p.known() {
		if name == "--"+f.Name || f.short != "" && name == "-"+f.short {
			if err := p.take(f, value, attached); err != nil {
				return fmt.Errorf("--%s: %w", f.Name, err)
			}
			return nil
		}
		names = append(names, "--"+f.Name)
		if f.short != "" {
			names = append(names, "-"+f.short)
		}
	}
	return unknown("unknown flag "+name, name, names)
}

func (p *parser) take(f *Flag, value string, attached bool) error {
	switch {
	case attached:
	case f.takesValue():
		var err error
		if value, err = p.value(f); err != nil {
			return err
		}
	default:
		value = "true"
	}
	if !slices.Contains(p.given, f) {
		f.clear()
		p.given = append(p.given, f)
	}
	return f.set(value)
}

// value is the next word, which may not look like a flag: it was more likely forgotten.
func (p *parser) value(f *Flag) (string, error) {
	_, isList := f.To.(*[]string)
	if len(p.rest) == 0 {
		if isList {
			return "", fmt.Errorf("missing value, expecting %q", "<arg>,...")
		}
		return "", fmt.Errorf("expected string value but got %q (<EOL>)", "EOL")
	}
	word := p.rest[0]
	p.rest = p.rest[1:]
	parts := []string{word}
	if isList {
		parts = splitList(word)
	}
	for _, part := range parts {
		if len(part) < 2 || part[0] != '-' {
			continue
		}
		kind := "short flag"
		if part[1] == '-' {
			kind = "long flag"
		}
		return "", fmt.Errorf("expected string value but got %q (%s); perhaps try --%s=%q?", part, kind, f.Name, part)
	}
	return word, nil
}

// missing says what the command line ends without.
func (p *parser) missing() error {
	c := p.command()
	var wanted []string
	if args := c.Args[p.taken:]; len(args) > 0 {
		wanted = append(wanted, strconv.Quote(argNames(args)))
	}
	for _, child := range c.Commands {
		wanted = append(wanted, strconv.Quote(child.Name))
	}
	switch len(wanted) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("expected %s", wanted[0])
	}
	return fmt.Errorf("expected one of %s", strings.Join(wanted, ", "))
}

// unknown is an error about a word that is none of some names, with those that were perhaps meant.
func unknown(problem, word string, names []string) error {
	var near []string
	for _, name := range names {
		if strings.HasPrefix(name, word) || distance(name, word) <= 2 {
			near = append(near, strconv.Quote(name))
		}
	}
	switch len(near) {
	case 0:
		return errors.New(problem)
	case 1:
		return fmt.Errorf("%s, did you mean %s?", problem, near[0])
	}
	return fmt.Errorf("%s, did you mean one of %s?", problem, strings.Join(near, ", "))
}

// distance is how many characters must be added, dropped or changed to make one word of the other.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1) // from what of a was seen to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j, other := range to {
			changed := diagonal
			if r != other {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(to)]
}
