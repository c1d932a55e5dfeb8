package irq

import (
	"fmt"
	"strings"
)

// An Error is a refusal or failure with everything a caller needs to act on it (rule 4).
// errors.Is matches its Code, the errno of the same sense and whatever Err wraps.
type Error struct {
	Code      Code
	Operation string     // "connect", "disconnect", "mask", …
	Vector    Vector     // the vector concerned, zero if none or several
	Name      string     // what the caller wrote, where it names no vector
	Reason    Reason     // why, for programs
	Detail    string     // why, for people; one clause without full stop
	Conflicts []Conflict // who is in the way, one entry a vector
	Rule      *Rule      // which rule of the policy refused
	Requested int        // vectors asked for (ErrNoResources)
	Free      int        // vectors to be had (ErrNoResources)
	Remedies  []string   // what to do, most promising first; commands where there is one
	Err       error      // the cause below, often an errno
}

// A Conflict is one vector that cannot be had, with those who have it.
type Conflict struct {
	Vector  Vector   `json:"vector"`
	Reason  Reason   `json:"reason"`
	Holders []Holder `json:"holders"`
}

// A Rule is the place in the policy that decided. File and Line are empty for a built-in default.
type Rule struct {
	Text string `json:"rule"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Error returns one line: what was tried, the code, why, who holds it.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Operation != "" {
		b.WriteString(e.Operation + " ")
	}
	if subject := e.Subject(); subject != "" {
		b.WriteString(subject)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%d %s", uint32(e.Code), e.Code.Name())
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for i, c := range e.Conflicts {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(e.Conflicts)-3)
			break
		}
		fmt.Fprintf(&b, "; %s is held by %s", c.Vector, holdersText(c.Holders))
	}
	if e.Rule != nil {
		fmt.Fprintf(&b, " (rule %s)", e.Rule)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Subject names what the error is about: the vector, the name as written, or the conflicting vectors.
func (e *Error) Subject() string {
	switch {
	case !e.Vector.IsZero():
		return e.Vector.String()
	case e.Name != "":
		return fmt.Sprintf("%q", e.Name)
	case len(e.Conflicts) == 1:
		return e.Conflicts[0].Vector.String()
	}
	return ""
}

// Unwrap returns the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// String returns "text (file:line)".
func (r *Rule) String() string {
	if r.File == "" {
		return r.Text
	}
	return fmt.Sprintf("%s (%s:%d)", r.Text, r.File, r.Line)
}

func holdersText(hs []Holder) string {
	if len(hs) == 0 {
		return "an unknown holder"
	}
	texts := make([]string, len(hs))
	for i, h := range hs {
		texts[i] = h.String()
	}
	return strings.Join(texts, " and ")
}
