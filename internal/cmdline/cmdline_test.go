package cmdline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// values are what the flags and arguments of the program under test point to.
type values struct {
	Config, Port, Name, Who string
	Fast                    bool
	Tags                    []string
	ran                     string
}

// program is a command line with everything that there can be.
func (v *values) program() *Command {
	run := func(name string) func() error {
		return func() error {
			v.ran = name
			return nil
		}
	}
	serve := &Command{Name: "serve", Help: "Serve.", Run: run("serve"), Flags: []*Flag{
		{Name: "port", To: &v.Port, Default: "80", Env: "T_PORT", Placeholder: "NUMBER", Help: "Where to listen."},
		{Name: "fast", To: &v.Fast, Env: "T_FAST", Help: "Be fast."},
	}}
	return &Command{Name: "prog", Help: "A program.", Default: serve,
		Flags: []*Flag{{Name: "config", To: &v.Config, Default: "c.toml", Env: "T_CONFIG", Placeholder: "PATH", Help: "A file."}},
		Commands: []*Command{serve, {Name: "item", Help: "Items.", Commands: []*Command{
			{Name: "add", Help: "Add one.", Run: run("add"),
				Args: []Arg{{Name: "name", To: &v.Name, Help: "Its name."}, {Name: "who", To: &v.Who, Help: "Whose it is."}},
				Flags: []*Flag{{Name: "tags", To: &v.Tags, Default: "old,plain", Placeholder: "TAG",
					Help: "What it is called, in as many words as need two lines of the width that this is shown in."}}},
			{Name: "list", Help: "List all.", Run: run("list")},
		}}},
	}
}

// parsed is what became of a command line, in one line.
func parsed(env map[string]string, args ...string) string {
	var v values
	call, err := v.program().Parse(args, func(name string) (string, bool) {
		text, ok := env[name]
		return text, ok
	})
	switch {
	case err != nil:
		return "error: " + err.Error()
	case call.Help:
		return "help of " + call.Name()
	}
	if err := call.Run(); err != nil {
		return err.Error()
	}
	if words := strings.Fields(call.Name()); words[len(words)-1] != v.ran {
		return fmt.Sprintf("%q has run %q", call.Name(), v.ran)
	}
	return fmt.Sprintf("%s %q %q %t %q %q %q", call.Name(), v.Config, v.Port, v.Fast, v.Name, v.Who, v.Tags)
}

func TestACommandLineMeansOneThing(t *testing.T) {
	const served = `serve "c.toml" "80" false "" "" ["old" "plain"]`
	for line, want := range map[string]string{
		"":                               served,
		"serve":                          served,
		"--":                             served,
		"--config=a --port 1":            `serve "a" "1" false "" "" ["old" "plain"]`,
		"--config= --port=":              `serve "" "" false "" "" ["old" "plain"]`,
		"--port 1 serve --port 2 --fast": `serve "c.toml" "2" true "" "" ["old" "plain"]`,
		"--fast=no":                      served,
		"--fast=YES --config -":          `serve "-" "80" true "" "" ["old" "plain"]`,
		"item add a b":                   `item add "c.toml" "80" false "a" "b" ["old" "plain"]`,
		"item --config=x add a --tags=1,2 --tags 3 b": `item add "x" "80" false "a" "b" ["1" "2" "3"]`,
		"item add --tags=,a, a b":                     `item add "c.toml" "80" false "a" "b" ["" "a"]`,
		"item add --tags= a b":                        `item add "c.toml" "80" false "a" "b" []`,
		"item add --tags=-x -- -a --b":                `item add "c.toml" "80" false "-a" "--b" ["-x"]`,
		"-- item list":                                `item list "c.toml" "80" false "" "" ["old" "plain"]`,
		"--help":                                      "help of ",
		"-h --fast":                                   "help of ",
		"item --help":                                 "help of item",
		"item add -h":                                 "help of item add",

		"itme":                   `error: unexpected argument itme`,
		"item ad":                `error: unexpected argument ad, did you mean "add"?`,
		"item lizt":              `error: unexpected argument lizt, did you mean "list"?`,
		"item list more":         `error: unexpected argument more`,
		"item":                   `error: expected one of "add", "list"`,
		"item add":               `error: expected "<name> <who>"`,
		"item add a":             `error: expected "<who>"`,
		"--help nothing":         `error: unexpected argument nothing`,
		"--prot 1":               `error: unknown flag --prot, did you mean "--port"?`,
		"--xyz":                  `error: unknown flag --xyz`,
		"--tags=a":               `error: unknown flag --tags`,
		"item list --fast":       `error: unknown flag --fast`,
		"-x":                     `error: unknown flag -x, did you mean "-h"?`,
		"-hé":                    `error: unknown flag -é, did you mean "-h"?`,
		"--=x":                   `error: unknown flag --, did you mean one of "--help", "-h", "--config", "--port", "--fast"?`,
		"--fast item list":       `error: flag --fast applies to the default command "serve", not "item"`,
		"--fast=maybe":           `error: --fast: bool value must be true, 1, yes, false, 0 or no but got "maybe"`,
		"--port":                 `error: --port: expected string value but got "EOL" (<EOL>)`,
		"--port --fast":          `error: --port: expected string value but got "--fast" (long flag); perhaps try --port="--fast"?`,
		"--port -1":              `error: --port: expected string value but got "-1" (short flag); perhaps try --port="-1"?`,
		"item add a b --tags":    `error: --tags: missing value, expecting "<arg>,..."`,
		"item add --tags a,-x b": `error: --tags: expected string value but got "-x" (short flag); perhaps try --tags="-x"?`,
	} {
		if got := parsed(nil, strings.Fields(line)...); got != want {
			t.Errorf("%s\nwant %s\n got %s", line, want, got)
		}
	}
	if got, want := parsed(nil, "item", "add", "", "a b", "--tags", ""), `item add "c.toml" "80" false "" "a b" []`; got != want {
		t.Errorf("empty words: want %s, got %s", want, got)
	}
}

func TestAVariableCountsWhereItsFlagIsNotGiven(t *testing.T) {
	for _, c := range []struct {
		env        map[string]string
		line, want string
	}{
		{map[string]string{"T_PORT": "1", "T_FAST": "1", "T_CONFIG": "x"}, "", `serve "x" "1" true "" "" ["old" "plain"]`},
		{map[string]string{"T_PORT": "1", "T_FAST": "1"}, "--port=2 --fast=0", `serve "c.toml" "2" false "" "" ["old" "plain"]`},
		{map[string]string{"T_PORT": "", "": "x"}, "", `serve "c.toml" "" false "" "" ["old" "plain"]`},
		{map[string]string{"T_FAST": "maybe"}, "", `error: --fast: bool value must be true, 1, yes, false, 0 or no but got "maybe" (from envar T_FAST="maybe")`},
		{map[string]string{"T_FAST": "maybe"}, "item list", `item list "c.toml" "80" false "" "" ["old" "plain"]`}, // what is not asked for may be wrong
		{map[string]string{"T_FAST": "maybe"}, "--help", "help of "},
	} {
		if got := parsed(c.env, strings.Fields(c.line)...); got != c.want {
			t.Errorf("%v %s\nwant %s\n got %s", c.env, c.line, c.want, got)
		}
	}
	if got := fmt.Sprint(new(values).program().Variables()); got != "[T_CONFIG T_PORT T_FAST]" {
		t.Errorf("the variables %s", got)
	}
}

// helpOf is the help of a command line at a width.
func helpOf(t *testing.T, width int, args ...string) string {
	t.Helper()
	var v values
	call, err := v.program().Parse(args, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := call.WriteHelp(&out, width); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestHelpTellsEveryFlagAndCommand(t *testing.T) {
	for _, c := range []struct {
		args  string
		width int
		want  string
	}{
		{"--help", 80, `Usage: prog <command> [flags]

A program.

Flags:
  -h, --help           Show context-sensitive help.
      --config=PATH    A file ($T_CONFIG).

Commands:
  serve [flags]
    Serve.

  item add <name> <who> [flags]
    Add one.

  item list
    List all.

Run "prog <command> --help" for more information on a command.
`},
		{"serve --help", 80, `Usage: prog serve [flags]

Serve.

Flags:
  -h, --help           Show context-sensitive help.
      --config=PATH    A file ($T_CONFIG).

      --port=NUMBER    Where to listen ($T_PORT).
      --fast           Be fast ($T_FAST).
`},
		{"item add --help", 60, `Usage: prog item add <name> <who> [flags]

Add one.

Arguments:
  <name>    Its name.
  <who>     Whose it is.

Flags:
  -h, --help            Show context-sensitive help.
      --config=PATH     A file ($T_CONFIG).

      --tags=TAG,...    What it is called, in as many words
                        as need two lines of the width that
                        this is shown in.
`},
	} {
		if got := helpOf(t, c.width, strings.Fields(c.args)...); got != c.want {
			t.Errorf("%s\nwant %s\n got %s", c.args, c.want, got)
		}
	}
}

func TestHelpIsAsWideAsColumnsSays(t *testing.T) {
	for text, want := range map[string]int{"120": 120, "": 80, "wide": 80} {
		if got := Width(&strings.Builder{}, func(string) (string, bool) { return text, true }); got != want {
			t.Errorf("%q: want %d, got %d", text, want, got)
		}
	}
}

// full is a place that nothing can be written to.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestHelpThatCannotBeWrittenSaysSo(t *testing.T) {
	var v values
	call, err := v.program().Parse([]string{"-h"}, func(string) (string, bool) { return "", false })
	if err != nil || call.WriteHelp(full{}, 80) == nil {
		t.Errorf("no error, %v", err)
	}
}

func TestDistanceCountsWhatIsAddedDroppedAndChanged(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "ac", 1}, {"ac", "abc", 1}, {"abc", "axc", 1}, {"é", "e", 1}, {"kitten", "sitting", 3}, {"port", "prot", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: want %d, got %d", c.a, c.b, c.want, got)
		}
	}
}
