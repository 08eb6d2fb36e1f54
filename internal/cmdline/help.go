package cmdline

import (
	"fmt"
	"go/doc/comment"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// Width is how many characters fit on a line of where help is written to: what COLUMNS says, else the terminal, else 80.
func Width(out io.Writer, env func(string) (string, bool)) int {
	if text, ok := env("COLUMNS"); ok {
		if columns, err := strconv.Atoi(text); err == nil {
			return columns
		}
	}
	if f, ok := out.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

// WriteHelp writes the help of the command, or of all commands where none was named.
func (c *Call) WriteHelp(out io.Writer, width int) error {
	program, command := c.path[0], c.command()
	page := &helpPage{width: width, text: new(strings.Builder)}
	page.line("Usage: " + program.Name + " " + summary(c.path))
	page.line("")
	page.wrap(command.Help)
	if len(command.Args) > 0 {
		page.line("")
		page.line("Arguments:")
		var rows [][2]string
		for _, arg := range command.Args {
			rows = append(rows, [2]string{argNames([]Arg{arg}), arg.Help})
		}
		page.indented().columns(rows)
	}
	page.line("")
	page.line("Flags:")
	page.indented().columns(flagRows(c.flags()))
	if len(command.Commands) > 0 {
		page.line("")
		page.line("Commands:")
		page.indented().commands(c.path)
	}
	if command == program {
		page.line("")
		page.line(fmt.Sprintf(`Run "%s <command> --help" for more information on a command.`, program.Name))
	}
	_, err := io.WriteString(out, page.text.String())
	return err
}

// summary is a command with what follows it, behind the name of the program.
func summary(path []*Command) string {
	command := path[len(path)-1]
	words := []string{}
	if len(path) > 1 {
		words = append(words, fullName(path[1:]))
	}
	if len(command.Args) > 0 {
		words = append(words, argNames(command.Args))
	} else if len(command.Commands) > 0 {
		words = append(words, "<command>")
	}
	if len(command.Flags) > 0 || len(path) > 1 && len(path[len(path)-2].Flags) > 0 {
		words = append(words, "[flags]")
	}
	return strings.Join(words, " ")
}

func argNames(args []Arg) string {
	var names []string
	for _, arg := range args {
		names = append(names, "<"+arg.Name+">")
	}
	return strings.Join(names, " ")
}

// flagRows are the flags with their help, with an empty row between groups.
func flagRows(groups [][]*Flag) (rows [][2]string) {
	for i, group := range groups {
		if i > 0 {
			rows = append(rows, [2]string{})
		}
		for _, f := range group {
			rows = append(rows, [2]string{f.usage(), f.help()})
		}
	}
	return rows
}

// usage is the flag as it is given.
func (f *Flag) usage() string {
	usage := "    --" + f.Name
	if f.short != "" {
		usage = "-" + f.short + ", --" + f.Name
	}
	if f.takesValue() {
		usage += "=" + f.Placeholder
	}
	if _, isList := f.To.(*[]string); isList {
		usage += ",..."
	}
	return usage
}

// help is the flag's help, a sentence, with its variable.
func (f *Flag) help() string {
	if f.Env == "" {
		return f.Help
	}
	return strings.TrimSuffix(f.Help, ".") + " ($" + f.Env + ")."
}

// helpPage is help on its way to be written; those that are indented share the text of the one that is not.
type helpPage struct {
	indent string
	width  int
	text   *strings.Builder
}

func (p *helpPage) indented() *helpPage {
	return &helpPage{indent: p.indent + "  ", width: p.width - 2, text: p.text}
}

func (p *helpPage) line(text string) {
	p.text.WriteString(strings.TrimRight(p.indent+text, " ") + "\n")
}

// wrap writes text on as many lines as it takes.
func (p *helpPage) wrap(text string) {
	for _, line := range wrapped(text, p.width) {
		p.line(line)
	}
}

// wrapped cuts text into lines of a width.
func wrapped(text string, width int) []string {
	printer := comment.Printer{TextWidth: width}
	return strings.Split(strings.TrimRight(string(printer.Text(new(comment.Parser).Parse(text))), "\n"), "\n")
}

// columns writes rows of a term and its help beside it, or below it where the term is long.
func (p *helpPage) columns(rows [][2]string) {
	const gap = 4
	long := max(p.width*3/8, 30)
	left := 0
	for _, row := range rows {
		if n := len(row[0]); n < long {
			left = max(left, n)
		}
	}
	for _, row := range rows {
		lines := wrapped(row[1], p.width-left-gap)
		term := row[0]
		if len(term) < long {
			term = fmt.Sprintf("%-*s%s", left+gap, term, lines[0])
			lines = lines[1:]
		}
		p.line(term)
		for _, line := range lines {
			p.line(strings.Repeat(" ", left+gap) + line)
		}
	}
}

// commands writes all commands below the last one of a path that can be run.
func (p *helpPage) commands(path []*Command) {
	for i, leaf := range leaves(path) {
		if i > 0 {
			p.line("")
		}
		p.line(summary(leaf))
		p.indented().wrap(leaf[len(leaf)-1].Help)
	}
}

// leaves are the paths to all commands that can be run.
func leaves(path []*Command) (all [][]*Command) {
	children := path[len(path)-1].Commands
	if len(children) == 0 {
		return [][]*Command{path}
	}
	for _, child := range children {
		all = append(all, leaves(append(path[:len(path):len(path)], child))...)
	}
	return all
}
