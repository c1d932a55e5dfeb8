package top

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// page collects the lines of a detail, wrapped.
type page struct {
	width int
	lines []string
}

const headWidth = 11

// row adds a property; one without text is left out. The text is made harmless.
func (p *page) row(head, format string, args ...any) {
	text := term.Safe(fmt.Sprintf(format, args...))
	if text == "" {
		return
	}
	indent := min(headWidth, p.width/3)
	for i, line := range strings.Split(ansi.Wrap(text, max(1, p.width-indent), " ,/"), "\n") {
		if i > 0 {
			head = ""
		}
		p.lines = append(p.lines, paint(term.Dim, fit(head, indent, false))+line)
	}
}

func (p *page) head(style, text string) {
	p.lines = append(p.lines, "", paint(style, clip(text, p.width)))
}

// detailText is all that is known of the vector that is looked at.
func (m *Model) detailText() []string {
	p := &page{width: m.width}
	r := m.looked()
	if r == nil {
		p.row("", "%s is not there any more", m.detail.name)
	} else {
		p.lines = append(p.lines, paint(term.Bold, clip(r.Name, m.width)))
		m.state(p, r)
		m.traffic(p, r)
	}
	if about := m.detail.about; about == nil {
		p.row("", "asking for findings and history …")
	} else {
		p.about(about)
	}
	return p.lines
}

func (m *Model) state(p *page, r *picture.Row) {
	p.row("state", "%s", meaning(r))
	p.row("why", "%s", r.Reason)
	for _, h := range r.Holders {
		p.row("held by", "%s", h)
	}
	p.row("also named", "%s", strings.Join(r.Aliases, ", "))
	p.row("handlers", "%s", strings.Join(r.Handlers, ", "))
	p.row("device", "%s", strings.TrimSpace(r.Device+" "+r.Driver))
	p.row("kind", "%s", strings.TrimSpace(r.Chip+" "+r.Trigger+" "+string(r.Delivery)))
	if r.Managed {
		p.row("sharing", "%s", map[bool]string{true: "possible", false: "never: one holder at a time"}[r.Shareable])
	}
}

// meaning is the state in a sentence.
func meaning(r *picture.Row) string {
	text := string(r.State)
	switch {
	case r.Storm:
		text = "storm: it fires and nobody handles it, so it is masked for a while"
	case r.Masked:
		text = "masked: nothing is delivered until it is unmasked"
	case r.State == irq.StateFree && r.Managed:
		text = "free: ivt connect " + r.Name
	case r.State == irq.StateDraining:
		text = "draining: a handler of the former holder still runs; connecting gets 764"
	case r.State == irq.StateOrphaned:
		text = "orphaned: its holder is gone, and may still come back for it"
	case r.State == irq.StateConnected:
		text = "connected: whoever else asks gets 763"
	}
	if r.Waiting > 0 {
		text += fmt.Sprintf("; %d wait for it", r.Waiting)
	}
	return text
}

// traffic is how often it fires, and where.
func (m *Model) traffic(p *page, r *picture.Row) {
	if r.Rate != nil {
		p.row("rate", "%s a second", short(*r.Rate))
	}
	if trend := spark(m.trends.of(r.Name), min(longest, m.width-headWidth)); trend != "" {
		p.row("trend", "%s", trend)
	}
	if r.Total != nil {
		p.row("count", "%d", *r.Total)
	}
	p.row("fires on", "%s", m.fires(r))
	p.row("lands on", "%s", cpuText(r.CPUs))
	if !r.Asked.Equal(r.CPUs) {
		p.row("allowed on", "%s", cpuText(r.Asked))
	}
	if r.Node >= 0 {
		p.row("NUMA node", "%d", r.Node)
	}
}

func cpuText(s host.CPUSet) string {
	if s.Len() == 0 {
		return ""
	}
	return "CPU " + s.String()
}

// fires names the CPUs where it fires most.
func (m *Model) fires(r *picture.Row) string {
	const most = 8
	hits := slices.SortedFunc(slices.Values(r.Hits), func(a, b picture.Hit) int {
		if a.Rate != b.Rate {
			return map[bool]int{true: -1, false: 1}[a.Rate > b.Rate]
		}
		return a.Column - b.Column
	})
	var parts []string
	for _, h := range hits[:min(most, len(hits))] {
		if h.Column < len(m.picture.CPUs) {
			parts = append(parts, fmt.Sprintf("CPU %d: %s/s", m.picture.CPUs[h.Column].Number, short(h.Rate)))
		}
	}
	if len(hits) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(hits)-most))
	}
	return strings.Join(parts, ", ")
}

func (p *page) about(a *About) {
	for _, f := range a.Findings {
		p.head(severityStyle(f.Severity), f.Severity.String()+": "+f.Title)
		p.row("", "%s", f.Meaning)
		for _, r := range f.Remedies {
			p.row("do", "%s", strings.TrimSpace(r.Do+"  "+r.Command))
		}
	}
	p.refused(a.Events)
	if len(a.Events) > 0 {
		p.head(term.Bold, "history, the latest first")
		for _, e := range slices.Backward(a.Events) {
			p.row(e.Time.Local().Format("15:04:05"), "%s", eventText(&e))
		}
	}
	for _, n := range a.Notes {
		p.row("note", "%s", n)
	}
}

// refused explains the code of the latest refusal.
func (p *page) refused(events []irq.Event) {
	for _, e := range slices.Backward(events) {
		if e.Refused == nil {
			continue
		}
		p.head(term.Yellow, fmt.Sprintf("refused last: %d %s", uint32(e.Refused.Code), e.Refused.Code.Name()))
		if known := explain.Lookup(fmt.Sprint(uint32(e.Refused.Code))); len(known) > 0 {
			p.row("means", "%s", known[0].Code.Meaning)
		}
		p.row("why", "%s", e.Refused.Detail)
		for _, r := range e.Refused.Remedies {
			p.row("do", "%s", r)
		}
		return
	}
}

// eventText is an event in one line.
func eventText(e *irq.Event) string {
	text := string(e.Kind)
	if e.Holder != nil {
		text += " " + picture.Short(*e.Holder)
	}
	if r := e.Refused; r != nil {
		text += fmt.Sprintf(" %d", uint32(r.Code))
		for _, c := range r.Conflicts {
			for _, h := range c.Holders {
				text += ", held by " + picture.Short(h)
			}
		}
	}
	if e.Repeats > 0 {
		text += fmt.Sprintf(", and %d times more", e.Repeats)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

func severityStyle(s explain.Severity) string {
	switch {
	case s >= explain.Serious:
		return term.Bold + ";" + term.Red
	case s >= explain.Warning:
		return term.Yellow
	}
	return term.Bold
}
