package policy

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// index knows where in a file each key and each element of a list stands: rules are named by their line,
// and a value that has the right type but makes no sense is reported at its place. Paths look like
// "allow[2].vectors[0]" and "soft.demo.vectors".
type index struct {
	data     []byte
	places   map[string]place
	spans    []unstable.Range // the top-level "key = value" expressions
	problems []Problem        // keys that nothing knows, tables that should be lists
	lists    map[string]int   // how many [[name]] came so far
	parser   unstable.Parser
}

type place struct{ line, column int }

func newIndex(data []byte) *index {
	ix := &index{data: data, places: map[string]place{}, lists: map[string]int{}}
	ix.parser.Reset(data)
	prefix, keys := "", []string(nil)
	for ix.parser.NextExpression() {
		switch e := ix.parser.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			prefix, keys = ix.table(e)
		case unstable.KeyValue:
			ix.spans = append(ix.spans, e.Raw)
			ix.keyValue(prefix, keys, e)
		}
	}
	return ix
}

func (ix *index) place(path string) place { return ix.places[path] }

// table enters [a.b] or [[a]] and returns the path of what follows.
func (ix *index) table(e *unstable.Node) (prefix string, keys []string) {
	names, at := ix.key(e)
	for i, name := range names {
		keys = append(keys, name)
		prefix = dot(prefix, name)
		if i == len(names)-1 && e.Kind == unstable.ArrayTable {
			ix.lists[prefix]++
		}
		if n := ix.lists[prefix]; n > 0 {
			prefix += "[" + strconv.Itoa(n-1) + "]"
		}
	}
	ix.places[prefix] = at
	ix.check(0, keys, at)
	if t, _, ok := lookup(keys); ok && t != nil && isList(t) && e.Kind == unstable.Table && !strings.HasSuffix(prefix, "]") {
		ix.report(at, "["+printable(strings.Join(names, "."))+"] must be written with two brackets, [["+printable(strings.Join(names, "."))+"]]")
	}
	return prefix, keys
}

func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

func (ix *index) keyValue(prefix string, keys []string, e *unstable.Node) {
	names, at := ix.key(e)
	former := len(keys)
	keys = slices.Concat(keys, names)
	path := dot(prefix, strings.Join(names, "."))
	ix.places[path] = at
	ix.check(former, keys, at)
	ix.value(path, keys, e.Value(), at)
}

// value notes what is inside a list or an inline table.
func (ix *index) value(path string, keys []string, v *unstable.Node, at place) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			ix.keyValue(path, keys, it.Node())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			element := path + "[" + strconv.Itoa(i) + "]"
			ix.places[element] = at
			if it.Node().Raw.Length > 0 {
				ix.places[element] = ix.at(it.Node().Raw)
			}
			ix.value(element, keys, it.Node(), ix.places[element])
		}
	}
}

// key returns the parts of a dotted key and where it stands.
func (ix *index) key(e *unstable.Node) (names []string, at place) {
	for it := e.Key(); it.Next(); {
		if names == nil {
			at = ix.at(it.Node().Raw)
		}
		names = append(names, string(it.Node().Data))
	}
	return names, at
}

// check reports the first of keys that its table does not know, unless it is among the former ones, which
// were checked where they stand.
func (ix *index) check(former int, keys []string, at place) {
	for n := 1; n <= len(keys); n++ {
		_, known, ok := lookup(keys[:n])
		if ok {
			continue
		}
		if n > former {
			ix.report(at, `unknown key "`+printable(keys[n-1])+`"`+suggestion(keys[n-1], known))
		}
		return
	}
}

func suggestion(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return `; did you mean "` + near + `"?`
	}
	return "; here may be " + strings.Join(sortedKeys(known), ", ")
}

func (ix *index) report(at place, text string) {
	ix.problems = append(ix.problems, Problem{Line: at.line, Column: at.column, Text: text})
}

func (ix *index) at(r unstable.Range) place {
	s := ix.parser.Shape(r).Start
	return place{s.Line, s.Column}
}

// without returns the file with the expression that covers a place blanked out, so that reading can go on
// behind a value of the wrong type and find the next mistake.
func (ix *index) without(at place) ([]byte, bool) {
	offset := offsetOf(ix.data, at)
	for i, s := range ix.spans {
		if from, to := int(s.Offset), int(s.Offset+s.Length); from <= offset && offset < to {
			data := slices.Clone(ix.data)
			for j := from; j < to; j++ {
				if data[j] != '\n' && data[j] != '\r' {
					data[j] = ' '
				}
			}
			ix.data, ix.spans = data, slices.Delete(ix.spans, i, i+1)
			return data, true
		}
	}
	return nil, false
}

func offsetOf(data []byte, at place) int {
	line := 1
	for i, b := range data {
		if line == at.line {
			return i + at.column - 1
		}
		if b == '\n' {
			line++
		}
	}
	return len(data)
}

func dot(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}
