package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// A policy is written by hand: bounds of its size, and of the mistakes that are shown at once.
const (
	maxFile     = 256 << 10
	maxProblems = 50
)

// decode reads one file. It reports as many mistakes as can be told apart: every unknown key, every value
// of the wrong type, and the first mistake of grammar, behind which nothing can be read.
func decode(data []byte) (doc document, ix *index, problems Problems) {
	switch {
	case len(data) > maxFile:
		return doc, nil, Problems{{Text: fmt.Sprintf("the file is larger than %d bytes", maxFile)}}
	case !utf8.Valid(data):
		return doc, nil, Problems{{Text: "the file is not UTF-8 text"}}
	}
	ix = newIndex(data)
	problems = ix.problems
	for {
		doc = document{}
		err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&doc)
		more := problemsOf(err)
		problems = problems.add(more)
		if len(more) != 1 || len(problems) >= maxProblems || errors.As(err, new(*toml.StrictMissingError)) {
			return doc, ix, problems
		}
		next, ok := ix.without(place{more[0].Line, more[0].Column})
		if !ok {
			return doc, ix, problems
		}
		data = next
	}
}

// add appends those whose place has no problem yet: the index says it better.
func (ps Problems) add(more Problems) Problems {
	for _, m := range more {
		known := false
		for _, p := range ps {
			known = known || p.Line == m.Line && p.Column == m.Column
		}
		if !known {
			ps = append(ps, m)
		}
	}
	return ps
}

func problemsOf(err error) (ps Problems) {
	var strict *toml.StrictMissingError
	var one *toml.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &strict):
		for i := range strict.Errors {
			ps = append(ps, problemOf(&strict.Errors[i]))
		}
	case errors.As(err, &one):
		ps = Problems{problemOf(one)}
	default:
		ps = Problems{{Text: printable(err.Error())}}
	}
	return ps
}

func problemOf(e *toml.DecodeError) Problem {
	line, column := e.Position()
	text := printable(strings.TrimPrefix(e.Error(), "toml: "))
	key := printable(strings.Join(e.Key(), "."))
	switch want := expected(e.Key()); {
	case key == "":
	case strings.HasPrefix(text, "cannot decode"):
		text = key + " must be " + want
	default:
		text = key + ": " + text
	}
	return Problem{Line: line, Column: column, Text: text}
}
