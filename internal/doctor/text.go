package doctor

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/term"
)

// WriteText writes the report for people: what is wrong, the gravest first, then what was looked at and what could not be seen.
func (r *Report) WriteText(o term.Output) error {
	p := explain.NewPage(o)
	p.Head(term.Dim, r.heading())
	wrong, known := r.split()
	if len(wrong) == 0 {
		p.Head(term.Green, "Nothing is wrong.")
	}
	for _, f := range wrong {
		p.Gap()
		f.write(p)
	}
	if len(known) > 0 {
		p.Gap()
		p.Head(term.Bold, "Good to know, and nothing to do")
		for _, f := range known {
			f.brief(p)
		}
	}
	r.writeLooked(p)
	r.writeUnseen(p)
	return p.Flush()
}

func (r *Report) heading() string {
	parts := []string{r.Machine}
	if r.Kernel != "" {
		parts = append(parts, "Linux "+r.Kernel)
	}
	if r.Arch != "" {
		parts = append(parts, r.Arch)
	}
	parts = append(parts, plural(r.CPUs, "CPU"), plural(r.Interrupts, "interrupt"))
	if r.Log != nil {
		parts = append(parts, fmt.Sprintf("log: %s, %s", r.Log.Name, plural(int(r.Log.Lines), "line")))
	}
	return strings.Join(parts, ", ")
}

// split parts what is wrong from what is good to know.
func (r *Report) split() (wrong, known []*Finding) {
	for _, f := range r.Findings {
		if f.Severity > Info {
			wrong = append(wrong, f)
		} else {
			known = append(known, f)
		}
	}
	return wrong, known
}

func (f *Finding) write(p *explain.Page) {
	p.Head(f.Severity.Style(), fmt.Sprintf("%s: %s [%s]", f.Severity, f.Title, f.ID))
	for i, e := range f.Evidence {
		label := "Evidence"
		if i > 0 {
			label = ""
		}
		p.Pair(2, 10, label, e.String())
	}
	p.Pair(2, 10, "Means", f.Meaning)
	if len(f.Vectors) > 0 {
		p.Pair(2, 10, "Vectors", vectorText(f.Vectors))
	}
	if len(f.Remedies) > 0 {
		p.Label(2, "What to do")
		p.Remedies(4, f.Remedies)
	}
	p.Pair(2, 10, "More", f.Page)
}

// brief is a finding that asks for nothing.
func (f *Finding) brief(p *explain.Page) {
	p.Item(2, "·", fmt.Sprintf("%s [%s]", f.Title, f.ID))
	if len(f.Evidence) > 0 {
		p.Para(4, f.Evidence[0].String())
	}
	p.Para(4, firstSentences(f.Meaning))
}

// firstSentences are the first two of a text.
func firstSentences(s string) string {
	end := 0
	for range 2 {
		i := strings.Index(s[end:], ". ")
		if i < 0 {
			return s
		}
		end += i + 2
	}
	return strings.TrimSpace(s[:end])
}

// String returns "/proc/irq/16/spurious: count 5", or the log line with its time.
func (e Evidence) String() string {
	switch {
	case e.Time != "":
		return fmt.Sprintf("%s at %s: %s", e.From, e.Time, e.Value)
	case e.From == "":
		return e.Value
	}
	return e.From + ": " + e.Value
}

// vectorText names the first few vectors.
func vectorText(all []string) string {
	const most = 12
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

// writeLooked groups the checks by what they looked at.
func (r *Report) writeLooked(p *explain.Page) {
	p.Gap()
	p.Head(term.Bold, "Looked at")
	var g grouping
	for _, l := range r.Looked {
		g.add(l.What, l.For)
	}
	for _, what := range g.order {
		p.Item(2, "·", what+": "+strings.Join(g.of[what], "; "))
	}
	if r.Log != nil {
		r.writeLog(p)
	}
}

// A grouping collects values under keys, in the order in which the keys came.
type grouping struct {
	order []string
	of    map[string][]string
}

func (g *grouping) add(key, value string) {
	if g.of == nil {
		g.of = map[string][]string{}
	}
	if g.of[key] == nil {
		g.order = append(g.order, key)
	}
	g.of[key] = append(g.of[key], value)
}

func (r *Report) writeLog(p *explain.Page) {
	if r.Log.Other != "" {
		p.Item(2, "·", "The log is not compared with the machine: "+r.Log.Other+".")
	}
	if r.Log.Foreign > 0 {
		p.Item(2, "·", fmt.Sprintf("Lines that look like the kernel's and were written by programs, not believed: %d.", r.Log.Foreign))
	}
	if r.Log.Dropped > 0 {
		p.Item(2, "·", fmt.Sprintf("Messages left out, because there are too many different ones: %d.", r.Log.Dropped))
	}
}

func (r *Report) writeUnseen(p *explain.Page) {
	if len(r.Unseen) == 0 {
		return
	}
	p.Gap()
	p.Head(term.Bold, "Could not see")
	var g grouping
	for _, u := range r.Unseen {
		why := u.Why
		if u.Cure != "" {
			why += "; try: " + u.Cure
		}
		g.add(why, u.What)
	}
	for _, why := range g.order {
		p.Item(2, "·", strings.Join(g.of[why], "; ")+": "+why)
	}
}
