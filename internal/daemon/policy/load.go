package policy

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// Load reads file and the *.toml of the folder ivtd.d beside it, in the order of their names. owner is
// ivtd's own user. A file that is not there is an error only if must is true; without any file the policy
// is [Default]. The error is of type [Problems] and has every mistake of every file.
func Load(file string, must bool, owner int) (*Policy, error) {
	names, problems := names(file, must)
	var parts []part
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			problems = append(problems, Problem{File: name, Text: reason(err)})
			continue
		}
		parts = append(parts, part{name, data})
	}
	p, more := compile(parts, owner)
	if problems = append(problems, more...); len(problems) > 0 {
		return nil, problems.sorted()
	}
	return p, nil
}

// A part is one file with its text.
type part struct {
	file string
	data []byte
}

func names(file string, must bool) (names []string, problems Problems) {
	switch _, err := os.Stat(file); {
	case err == nil:
		names = append(names, file)
	case must || !errors.Is(err, fs.ErrNotExist):
		problems = append(problems, Problem{File: file, Text: reason(err)})
	}
	folder := filepath.Join(filepath.Dir(file), "ivtd.d")
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, Problem{File: folder, Text: reason(err)})
	}
	for _, e := range entries { // sorted by name
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(folder, e.Name()))
		}
	}
	return names, problems
}

// reason is the errno's text without the path, which the problem has already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// compile makes one policy of all files, or says everything that is wrong with them.
func compile(parts []part, owner int) (*Policy, Problems) {
	if len(parts) == 0 {
		return Default(owner), nil
	}
	c := compiler{policy: &Policy{Limits: DefaultLimits(), owner: owner}, softs: map[string]string{}}
	for _, f := range parts {
		c.file(f)
	}
	c.policy.Rules = append(c.policy.Rules, ownRule(owner))
	c.policy.hides = slices.ContainsFunc(c.policy.Rules, func(r Rule) bool { return r.Hide })
	return c.policy, c.problems
}

type compiler struct {
	policy   *Policy
	problems Problems
	softs    map[string]string // name → where it is said
}

func (c *compiler) file(f part) {
	doc, ix, problems := decode(f.data)
	for _, p := range problems {
		p.File = f.file
		c.problems = append(c.problems, p)
	}
	if len(problems) > 0 {
		return // what such a file means is anybody's guess
	}
	p := c.policy
	p.Files = append(p.Files, f.file)
	if doc.RevokeOnReload != nil {
		p.RevokeOnReload = *doc.RevokeOnReload
	}
	p.Limits.set(doc.Limits, c.at(f.file, ix, "limits"))
	for _, name := range slices.Sorted(maps.Keys(doc.Soft)) {
		c.soft(f.file, ix, name, doc.Soft[name])
	}
	for i, t := range doc.Device {
		path := "device[" + strconv.Itoa(i) + "]"
		d := compileDevice(t, c.at(f.file, ix, path))
		d.Rule = Place{f.file, ix.place(path).line}
		p.Devices = append(p.Devices, d)
	}
	for i, t := range doc.Allow {
		path := "allow[" + strconv.Itoa(i) + "]"
		r := compileRule(t, c.at(f.file, ix, path))
		r.File, r.Line = f.file, ix.place(path).line
		p.Rules = append(p.Rules, r)
	}
}

func (c *compiler) soft(file string, ix *index, name string, t softTable) {
	bad := c.at(file, ix, "soft."+name)
	s := compileSoft(name, t, bad)
	if _, err := irq.ParseSource(s.Name); err != nil {
		bad("", `"`+printable(name)+`" cannot be the name of a doorbell group: letters, digits and ._-@+ only`)
	}
	s.Rule = Place{file, ix.place("soft." + name).line}
	if former, ok := c.softs[name]; ok {
		bad("", "soft."+printable(name)+" is there already, in "+former)
	}
	c.softs[name] = file + ":" + strconv.Itoa(s.Rule.Line)
	c.policy.Softs = append(c.policy.Softs, s)
}

// at returns what reports a problem with a key below path, at the key's place or else at its table's.
func (c *compiler) at(file string, ix *index, path string) func(key, text string) {
	return func(key, text string) {
		at := ix.place(path)
		if exact, ok := ix.places[dot(path, key)]; ok && key != "" {
			at = exact
		}
		c.problems = append(c.problems, Problem{File: file, Line: at.line, Column: at.column, Text: text})
	}
}
