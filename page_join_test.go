package main

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// modules are the files of a page, in the form of testing/fstest.
func modules(sources map[string]string) fs.FS {
	files := fstest.MapFS{}
	for name, source := range sources {
		files[name] = &fstest.MapFile{Data: []byte(source)}
	}
	return files
}

func TestJoinKeepsWhatModulesDo(t *testing.T) {
	for name, c := range map[string]struct {
		sources map[string]string
		holds   []string // in this order
	}{
		"what is imported comes first, by its names": {
			map[string]string{
				"app.js":      "import { a, b as c } from \"./x.js\";\na(c);\n",
				"x.js":        "import {\n  d,\n} from \"./views/y.js\";\nexport function a() {}\nexport const b = d;\n",
				"views/y.js":  "import * as z from \"../deep/z.js\";\nexport async function d() {}\nexport class E {}\n",
				"deep/z.js":   "export const one = 1;\n",
				"deep/no.txt": "not a module",
			},
			[]string{
				"\"deep/z.js\"() {\nconst one = 1;\nreturn { one };\n},\n",
				"\"views/y.js\"() {\nconst z = $module(\"deep/z.js\");\nasync function d() {}\nclass E {}\nreturn { d, E };\n},\n",
				"\"x.js\"() {\nconst { d } = $module(\"views/y.js\");\nfunction a() {}\nconst b = d;\nreturn { a, b };\n},\n",
				"\"app.js\"() {\nconst { a, b: c } = $module(\"x.js\");\na(c);\nreturn {  };\n},\n};\n$module(\"app.js\");\n",
			},
		},
		"what is imported later is called later": {
			map[string]string{
				"app.js":     "const load = () => import(\"./views/y.js\");\nconst { y } = await2(await import(\"./views/y.js\"));\n",
				"views/y.js": "import { h } from \"../h.js\";\nexport const y = h;\n",
				"h.js":       "export const h = 1;\n",
			},
			[]string{"() => $later(\"views/y.js\")", "await $later(\"views/y.js\")", "\"h.js\"() {", "\"views/y.js\"() {"},
		},
		"a name that hides another stays": {
			map[string]string{
				"app.js": "import { a } from \"./x.js\";\nfunction f(a) {\n  const b = a;\n  return { a, b };\n}\n",
				"x.js":   "const hidden = 1;\nexport const a = (hidden) => hidden;\n",
			},
			[]string{"const a = (hidden) => hidden;", "function f(a) {\nconst b = a;\nreturn { a, b };\n}"},
		},
		"text that looks like a statement stays": {
			map[string]string{
				"app.js": "say('import { a } from \"./gone.js\";', `export const b = ${1}`, \"imports (two)\");\n// import { c } from \"./gone.js\";\n",
			},
			[]string{"\nsay('import { a } from \"./gone.js\";', `export const b = ${1}`, \"imports (two)\");\nreturn"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			script, err := join(modules(c.sources), "app.js")
			if err != nil {
				t.Fatal(err)
			}
			rest := string(script)
			for _, held := range c.holds {
				_, after, found := strings.Cut(rest, held)
				if !found {
					t.Fatalf("%s\ndoes not hold, or not in this place: %s", script, held)
				}
				rest = after
			}
		})
	}
}

func TestJoinRefusesWhatItCannotJoin(t *testing.T) {
	for source, fault := range map[string]string{
		`import { a } from "./gone.js";`:                         "gone.js: file does not exist",
		`const f = () => import("./gone.js");`:                   "gone.js: file does not exist",
		`import { gone } from "./x.js";`:                         `app.js: x.js does not export "gone"`,
		`import { x as default } from "./x.js"`:                  "app.js: cannot be joined: import { x",
		`import { app } from "./app.js";`:                        "app.js: what it imports imports it",
		`import { back } from "./back.js";`:                      "app.js: what it imports imports it",
		`import x from "./x.js";`:                                "app.js: cannot be joined: import x",
		`import "./x.js";`:                                       "app.js: cannot be joined: import ",
		`import{x}from"./x.js";`:                                 "app.js: cannot be joined: import{x}",
		`const f = (name) => import(name);`:                      "app.js: cannot be joined: import(name)",
		`const here = import.meta.url;`:                          "app.js: cannot be joined: import.meta",
		`await f();`:                                             "app.js: cannot be joined: await f();",
		`export default function f() {}`:                         "app.js: cannot be joined: export default",
		`export let changes = 1;`:                                "app.js: cannot be joined: export let",
		`export { x } from "./x.js";`:                            "app.js: cannot be joined: export { x }",
		"const text = `of two\nimport { x } from \"./x.js\";\n`": "app.js: text and comments have to end on their line: const text",
		"/*\nexport const a = 1;\n*/":                            "app.js: text and comments have to end on their line: /*",
		"const $module = 1;":                                     "app.js: the name is taken: const $module",
		"start();":                                               "back.js: no module imports it",
	} {
		sources := map[string]string{
			"app.js":  source + "\n",
			"x.js":    "export const x = 1;\n",
			"back.js": "import { app } from \"./app.js\";\nexport const back = app;\n",
		}
		if _, err := join(modules(sources), "app.js"); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s\n%v\nwanted: %s", source, err, fault)
		}
	}
}
