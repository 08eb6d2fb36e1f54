package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The sources of the page are small modules. They are served as one script: one request, and one stream for gzip, which
// finds in a view what it has seen in another. That takes no parser, because the modules keep to a few forms, which are
// checked here: imports and exports stand at the start of a line, and what is exported is never assigned again, so that
// those who import it can have it by a constant of their own.
var (
	importForm  = regexp.MustCompile(`(?m)^import (?:\{([^{}]*)\}|\* as (\w+)) from "([^"]+)";$`)
	namedForm   = regexp.MustCompile(`^(\w+)(?: as (\w+))?$`)
	exportForm  = regexp.MustCompile(`(?m)^export ((?:(?:async )?function|const|class) (\w+))`)
	laterForm   = regexp.MustCompile(` import\("([^"]+)"\)`)
	otherForms  = regexp.MustCompile(`(?m)^(?:import|export|await)\b.*|\bimport\s*[(.].*`)
	indentation = regexp.MustCompile(`(?m)^[ \t]+`)
)

// joinHead and joinTail stand around the modules. Each module is a function that bears the name of its file, for those who
// look for an error in the browser, and is called once, when it is first asked for: a view's when it is opened. What was
// asked for by import() arrives later, as it would from a file of its own.
const (
	joinHead = `const $done = {};
const $module = (name) => $done[name] ??= $modules[name]();
const $later = (name) => Promise.resolve(name).then($module);
const $modules = {
`
	joinTail = "};\n$module(%q);\n"
)

// joiner joins modules to one script.
type joiner struct {
	files   fs.FS
	exports map[string][]string // by the module's path; nil while what it imports is added
	later   []string            // the modules that are left to add
	out     strings.Builder
}

// join is the script that does what the module entry does, with all that it imports and import() asks for. It refuses
// modules that are not of the forms above, import each other, or are imported by none: all are faults of the sources.
func join(files fs.FS, entry string) ([]byte, error) {
	j := &joiner{files: files, exports: map[string][]string{}, later: []string{entry}}
	j.out.WriteString(joinHead)
	for len(j.later) > 0 {
		name := j.later[0]
		j.later = j.later[1:]
		if err := j.add(name); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&j.out, joinTail, entry)
	return []byte(j.out.String()), fs.WalkDir(files, ".", func(name string, _ fs.DirEntry, err error) error {
		if _, added := j.exports[name]; err == nil && path.Ext(name) == ".js" && !added {
			return fmt.Errorf("%s: no module imports it", name)
		}
		return err
	})
}

// add writes a module, after those it imports; one that is written already is left alone.
func (j *joiner) add(name string) error {
	if exports, known := j.exports[name]; known {
		if exports == nil {
			return fmt.Errorf("%s: what it imports imports it", name)
		}
		return nil
	}
	source, err := fs.ReadFile(j.files, name)
	if err != nil {
		return err
	}
	j.exports[name] = nil
	text, exports, err := j.function(name, string(withoutComments(source)))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	j.exports[name] = exports
	fmt.Fprintf(&j.out, "%q() {\n%sreturn { %s };\n},\n", name, text, strings.Join(exports, ", "))
	return nil
}

// function is what a module does, as the body of a function, and what it exports.
func (j *joiner) function(name, text string) (_ string, exports []string, err error) {
	for line := range strings.Lines(text) {
		if strings.Count(line, "`")%2 != 0 || strings.Contains(line, "/*") {
			return "", nil, fmt.Errorf("text and comments have to end on their line: %s", line)
		}
		if strings.Contains(line, "$module") || strings.Contains(line, "$later") {
			return "", nil, fmt.Errorf("the name is taken: %s", line)
		}
	}
	exports = []string{}
	for _, found := range exportForm.FindAllStringSubmatch(text, -1) {
		exports = append(exports, found[2])
	}
	text = exportForm.ReplaceAllString(text, "$1")
	text = replace(importForm, text, func(found []string) string {
		constant, fault := j.constant(name, found[1], found[2], found[3])
		err = errors.Join(err, fault)
		return constant
	})
	text = replace(laterForm, text, func(found []string) string {
		from := path.Join(path.Dir(name), found[1])
		j.later = append(j.later, from)
		return fmt.Sprintf(" $later(%q)", from)
	})
	if line := otherForms.FindString(text); err == nil && line != "" {
		err = fmt.Errorf("cannot be joined: %s", line)
	}
	return indentation.ReplaceAllString(text, ""), exports, err
}

// constant declares what an import statement of the module does: some names, or whole for all of them, from another.
func (j *joiner) constant(name, names, whole, from string) (string, error) {
	from = path.Join(path.Dir(name), from)
	if err := j.add(from); err != nil {
		return "", err
	}
	if whole != "" {
		return fmt.Sprintf("const %s = $module(%q);", whole, from), nil
	}
	var taken []string
	for one := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(names), ","), ",") {
		found := namedForm.FindStringSubmatch(strings.Join(strings.Fields(one), " "))
		if found == nil || !slices.Contains(j.exports[from], found[1]) {
			return "", fmt.Errorf("%s does not export %q", from, strings.TrimSpace(one))
		}
		if found[2] != "" {
			found[1] += ": " + found[2]
		}
		taken = append(taken, found[1])
	}
	return fmt.Sprintf("const { %s } = $module(%q);", strings.Join(taken, ", "), from), nil
}

// replace puts something else in the place of each match, by the match and its groups.
func replace(form *regexp.Regexp, text string, by func(found []string) string) string {
	return form.ReplaceAllStringFunc(text, func(match string) string {
		return by(form.FindStringSubmatch(match))
	})
}
