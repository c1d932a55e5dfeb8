package irq

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Error returns one line: what was tried, the code, why, who holds it. Foreign text in it is harmless.
func (e *Error) Error() string {
	var b strings.Builder
	if tried := strings.TrimSpace(shown(e.Operation) + " " + e.Subject()); tried != "" {
		b.WriteString(tried + ": ")
	}
	fmt.Fprintf(&b, "%d %s", uint32(e.Code), e.Code.Name())
	if e.Detail != "" {
		b.WriteString(": " + shown(e.Detail))
	}
	for i, c := range e.Conflicts {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(e.Conflicts)-3)
			break
		}
		b.WriteString("; " + c.String())
	}
	if e.Rule != nil {
		fmt.Fprintf(&b, " (rule %s)", e.Rule)
	}
	if e.Err != nil {
		b.WriteString(": " + shown(e.Err.Error()))
	}
	return b.String()
}

// Subject names what the error is about: the vector, the name as written, or the only conflicting vector.
func (e *Error) Subject() string {
	switch {
	case !e.Vector.IsZero():
		return shown(e.Vector.String())
	case e.Name != "":
		return strconv.Quote(cut(e.Name))
	case len(e.Conflicts) == 1:
		return shown(e.Conflicts[0].Vector.String())
	}
	return ""
}

// Explain returns the error in several lines for a person at a terminal: what was tried, what the code
// means, who is in the way, which rule, what to do. There is no newline at the end.
func (e *Error) Explain() string {
	var b strings.Builder
	if e.Operation != "" {
		b.WriteString(shown(strings.TrimSpace(e.Operation+" "+e.Subject())) + ": ")
	}
	fmt.Fprintf(&b, "%d %s", uint32(e.Code), e.Code.Name())
	line := func(label, text string) { fmt.Fprintf(&b, "\n  %-8s%s", label, text) }
	line("means", e.Code.Text())
	if e.Detail != "" {
		line("why", shown(e.Detail))
	}
	if e.Err != nil {
		line("cause", shown(e.Err.Error()))
	}
	if e.Requested > 0 {
		line("asked", fmt.Sprintf("%d, to be had: %d", e.Requested, e.Free))
	}
	for i, c := range e.Conflicts {
		if i == 16 {
			line("", fmt.Sprintf("and %d more", len(e.Conflicts)-i))
			break
		}
		line("held", c.String())
	}
	if e.Rule != nil {
		line("rule", e.Rule.String())
	}
	for i, r := range e.Remedies {
		line([]string{"try", ""}[min(i, 1)], shown(r))
	}
	return b.String()
}

// LogValue gives the error to log/slog as a group.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Int("code", int(e.Code)), slog.String("name", e.Code.Name())}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("operation", shown(e.Operation))
	add("vector", e.Subject())
	add("reason", shown(string(e.Reason)))
	add("detail", shown(e.Detail))
	for i, c := range e.Conflicts[:min(len(e.Conflicts), 3)] {
		add(fmt.Sprintf("conflict%d", i), c.String())
	}
	if len(e.Conflicts) > 3 {
		attrs = append(attrs, slog.Int("conflicts", len(e.Conflicts)))
	}
	if e.Rule != nil {
		add("rule", e.Rule.String())
	}
	if e.Err != nil {
		add("cause", shown(e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// String returns "soft:demo/3 is held by pid 4711 (nicd) since …", with the reason if it is a special one.
func (c Conflict) String() string {
	s := shown(c.Vector.String()) + " is held by " + holdersText(c.Holders)
	if c.Reason != ReasonHeld && c.Reason != "" {
		s += " (" + shown(string(c.Reason)) + ")"
	}
	return s
}

// String returns "text (file:line)".
func (r *Rule) String() string {
	if r.File == "" {
		return shown(r.Text)
	}
	return fmt.Sprintf("%s (%s:%d)", shown(r.Text), shown(r.File), r.Line)
}

func holdersText(hs []Holder) string {
	if len(hs) == 0 {
		return "an unknown holder"
	}
	texts := make([]string, 0, 4)
	for i, h := range hs {
		if i == 3 {
			texts = append(texts, fmt.Sprintf("%d more", len(hs)-i))
			break
		}
		texts = append(texts, h.String())
	}
	return strings.Join(texts, " and ")
}
