package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ivtd/ivt/internal/term"
)

// Options say what Explain may use besides the catalogues. The zero value is ready.
type Options struct {
	// Refused returns the latest refusals with a code, from ivtd's history; nil leaves the section out.
	Refused func(code uint32) ([]Refusal, error)
	// JSON writes one document instead of text.
	JSON bool
}

// An Answer is what a query means. One of Codes and Log is set.
type Answer struct {
	Query    string    `json:"query"`
	Codes    []Match   `json:"codes,omitempty"`
	Log      *Log      `json:"log,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
}

// An UnknownError says that a query means nothing here, and what it may have been meant to be.
type UnknownError struct {
	Query   string
	Nearest []string
}

// Error names the query and the nearest names.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("%q is no code and no kernel message that ivt knows", shorten(e.Query))
	if len(e.Nearest) > 0 {
		text += "; did you mean " + strings.Join(e.Nearest, " or ") + "?"
	}
	return text
}

// shorten keeps an error readable; quoting makes it harmless.
func shorten(s string) string {
	if len(s) > 120 {
		return s[:120] + "…"
	}
	return s
}

// Ask finds out what a query means: the id of a kernel message, one or several log lines, or a code in any form. A
// query that means nothing is an *UnknownError.
func Ask(query string) (*Answer, error) {
	if m := FindMessage(strings.TrimSpace(query)); m != nil {
		query = m.Sample
	}
	s := NewScanner(strings.NewReader(query))
	s.Loose = true
	l := &Log{}
	index := map[string]*Group{}
	for s.Scan() {
		l.add(s.Incident(), index)
	}
	l.Lines, l.Foreign = s.Lines, s.Foreign
	if l.Boots > 0 && len(l.Groups) == 0 {
		l.Groups = append(l.Groups, &Group{Incident: s.Incident(), Count: 1})
	}
	if len(l.Groups) > 0 {
		return &Answer{Query: query, Log: l}, nil
	}
	if codes := Lookup(query); codes != nil {
		return &Answer{Query: query, Codes: codes}, nil
	}
	return nil, &UnknownError{query, Suggest(query)}
}

// Explain answers one query: "763", "0x2FB", "EBUSY", a log line, or "-" for a log on in. It returns *UnknownError
// for what it does not know, and the error of in or o. A log without a known line is no error.
func Explain(o term.Output, query string, in io.Reader, opts Options) error {
	if query == "-" {
		l, err := Collect(in)
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		return (&Answer{Query: "-", Log: l}).write(o, opts)
	}
	a, err := Ask(query)
	if err != nil {
		return err
	}
	return a.write(o, opts)
}

// IsUnknown reports whether Explain or Ask found nothing.
func IsUnknown(err error) bool {
	var unknown *UnknownError
	return errors.As(err, &unknown)
}

func (a *Answer) write(o term.Output, opts Options) error {
	if opts.JSON {
		return a.writeJSON(o, opts)
	}
	if a.Log != nil {
		return a.writeLog(o)
	}
	p := NewPage(o)
	writeMatch(p, a.Codes[0], opts)
	for _, m := range a.Codes[1:] {
		p.Gap()
		p.Para(0, fmt.Sprintf("%s is also %s %s: %s (ivt explain %s)", a.Query, m.As, m.Code.Name, m.Code.Meaning, m.Code.Name))
	}
	return p.Flush()
}

// writeLog leaves the count of lines out where somebody typed one.
func (a *Answer) writeLog(o term.Output) error {
	if a.Query == "-" || len(a.Log.Groups) != 1 {
		return WriteLog(o, a.Log)
	}
	p := NewPage(o)
	writeIncident(p, a.Log.Groups[0].Incident, a.Log.Groups[0].Count, false)
	return p.Flush()
}

func (a *Answer) writeJSON(o term.Output, opts Options) error {
	if opts.Refused != nil && len(a.Codes) > 0 {
		refusals, err := opts.Refused(a.Codes[0].Code.Number)
		if err == nil {
			a.Refusals = refusals
		}
	}
	enc := json.NewEncoder(o)
	enc.SetIndent("", "  ")
	return enc.Encode(a)
}
