package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/ivtd/ivt/internal/term"
)

// A Refusal is a "no" that was given here lately, from ivtd's history.
type Refusal struct {
	Time      time.Time `json:"time"`
	Operation string    `json:"operation"`
	Vector    string    `json:"vector"`
	Caller    string    `json:"caller,omitempty"` // who was refused
	Reason    string    `json:"reason,omitempty"`
	Holder    string    `json:"holder,omitempty"` // who was in the way
}

// writeMatch writes one code in full.
func writeMatch(p *Page, m Match, o Options) {
	c := m.Code
	p.Head(term.Bold, codeHeading(c))
	p.Para(2, "“"+c.Text+"”")
	if m.As != "" {
		p.Para(2, "You asked for "+m.As+".")
	}
	if m.Note != "" {
		p.Para(2, "Mind: "+m.Note)
	}
	p.Gap()
	writeNumbers(p, c)
	section(p, "Meaning", []string{c.Meaning})
	section(p, "Details", c.Details)
	section(p, "When it arises", c.Arises)
	section(p, "How to read it", c.Reading)
	section(p, "If it is ignored", c.Ignored)
	p.Gap()
	p.Head(term.Bold, "How to resolve it")
	p.Remedies(2, c.Resolve)
	section(p, "On other systems", c.Elsewhere)
	if len(c.Related) > 0 {
		section(p, "Related", []string{relatedText(c.Related)})
	}
	writeRefusals(p, c, o)
}

func codeHeading(c *Code) string {
	switch c.Kind {
	case "win32":
		return fmt.Sprintf("%d (0x%X) %s", c.Number, c.Number, c.Name)
	case "ntstatus":
		return fmt.Sprintf("NTSTATUS 0x%08X %s", c.Number, c.Name)
	}
	return fmt.Sprintf("errno %d %s", c.Number, c.Name)
}

// writeNumbers lists every form in which the code may be met.
func writeNumbers(p *Page, c *Code) {
	if c.Kind == "win32" {
		p.Pair(2, 10, "HRESULT", fmt.Sprintf("0x%08X (%d)", c.HRESULT(), int32(c.HRESULT())))
	}
	for _, t := range c.Twins {
		text := fmt.Sprintf("0x%08X %s", t.Value, t.Name)
		if t.Note != "" {
			text += ": " + t.Note
		}
		p.Pair(2, 10, "NTSTATUS", text)
	}
	if c.Errno != "" {
		p.Pair(2, 10, "errno", c.Errno)
	}
	switch {
	case c.Go != "":
		p.Pair(2, 10, "Go", fmt.Sprintf("irq.%s; exit status of ivt: %d", c.Go, c.Exit))
	case c.Kind != "errno":
		p.Pair(2, 10, "ivt", "never returns it")
	}
}

func section(p *Page, title string, items []string) {
	if len(items) == 0 {
		return
	}
	p.Gap()
	p.Head(term.Bold, title)
	for _, item := range items {
		if len(items) == 1 {
			p.Para(2, item)
		} else {
			p.Item(2, "·", item)
		}
	}
}

// relatedText names the related codes with their numbers.
func relatedText(names []string) string {
	var parts []string
	for _, name := range names {
		for _, c := range Codes() {
			if c.Name == name && c.Kind == "win32" {
				name = fmt.Sprintf("%d %s", c.Number, name)
			}
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, ", ")
}

func writeRefusals(p *Page, c *Code, o Options) {
	if o.Refused == nil || c.Go == "" {
		return
	}
	refusals, err := o.Refused(c.Number)
	p.Gap()
	p.Head(term.Bold, "Refused here lately")
	switch {
	case err != nil:
		p.Para(2, "not known: "+err.Error())
	case len(refusals) == 0:
		p.Para(2, "nothing")
	}
	for _, r := range refusals {
		text := r.Time.Local().Format("2006-01-02 15:04:05") + " " + r.Operation + " " + r.Vector
		if r.Caller != "" {
			text += " by " + r.Caller
		}
		if r.Holder != "" {
			text += "; held by " + r.Holder
		}
		if r.Reason != "" {
			text += " (" + r.Reason + ")"
		}
		p.Item(2, "·", text)
	}
}

// writeIncident writes one incident in full; count is how often it came. Where the same message was explained before, what
// the catalogue says of it is left out.
func writeIncident(p *Page, in *Incident, count int64, again bool) {
	p.Head(in.Severity.Style(), fmt.Sprintf("%s [%s, %s]", in.Title, in.Message.ID, in.Severity))
	writeLines(p, in, count)
	if in.Origin == Program {
		p.Para(2, fmt.Sprintf("Mind: a program (%s) wrote this line, not the kernel.", orElse(in.Program, "unknown")))
	}
	p.Gap()
	writeFields(p, in)
	for _, v := range in.Verdict {
		p.Para(2, v)
	}
	if in.Mismatch != nil {
		writeConditions(p, in.Mismatch)
	}
	if len(in.Verdict) > 0 {
		p.Gap()
	}
	if again {
		p.Para(2, "Otherwise as "+in.Message.ID+" above.")
		return
	}
	p.Pair(2, 12, "Means", in.Meaning())
	p.Pair(2, 12, "Written by", in.Message.WrittenBy())
	if causes := in.Causes(); len(causes) > 0 {
		p.Label(2, "Causes")
		for _, c := range causes {
			p.Item(4, "·", c)
		}
	}
	if remedies := in.Resolve(); len(remedies) > 0 {
		p.Label(2, "What to do")
		p.Remedies(4, remedies)
	}
}

// shownLines is how many lines of an incident are printed.
const shownLines = 12

func writeLines(p *Page, in *Incident, count int64) {
	for i, line := range in.Lines {
		if i == shownLines {
			p.Para(4, fmt.Sprintf("… and %d more lines", len(in.Lines)-i))
			break
		}
		p.Para(4, line)
	}
	when := ""
	if in.Stamp != "" {
		when = "at " + in.Stamp
	}
	if count > 1 {
		when = strings.TrimSpace(fmt.Sprintf("%d times, first %s", count, when))
	}
	if when != "" {
		p.Para(2, "("+when+")")
	}
}

func writeFields(p *Page, in *Incident) {
	column := 0
	for _, f := range in.Fields {
		column = max(column, len(f.Name)+2)
	}
	for _, f := range in.Fields {
		text := f.Value
		if f.Means != "" {
			text += " = " + f.Means
		}
		p.Pair(2, column, strings.ReplaceAll(f.Name, "_", " "), text)
	}
	for _, h := range in.Handlers {
		p.Pair(2, max(column, 10), "handler", h.String())
	}
	if len(in.Fields)+len(in.Handlers) > 0 {
		p.Gap()
	}
}

func writeConditions(p *Page, m *Mismatch) {
	p.Pair(2, 13, "Whose fault", m.Fault)
	for _, c := range m.Conditions {
		mark := "holds"
		if !c.Holds {
			mark = "FAILS"
		}
		p.Pair(4, 14, c.Name, mark+": "+c.Because)
	}
}

// WriteLog writes the incidents of a log, grouped, and what was read.
func WriteLog(o term.Output, l *Log) error {
	p := NewPage(o)
	explained := map[string]bool{}
	for i, g := range l.Groups {
		if i > 0 {
			p.Gap()
		}
		writeIncident(p, g.Incident, g.Count, explained[g.Message.ID])
		explained[g.Message.ID] = true
	}
	if len(l.Groups) > 0 {
		p.Gap()
	}
	text := fmt.Sprintf("%s read, %s about interrupts.", plural(l.Lines, "line"), plural(int64(len(l.Groups)), "different message"))
	if l.Dropped > 0 {
		text += fmt.Sprintf(" %s more, of further kinds, are left out.", plural(l.Dropped, "message"))
	}
	p.Para(0, text)
	return p.Flush()
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
