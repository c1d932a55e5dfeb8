package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// fromLog reports what the log says of the check's kind as the catalogue has it.
func fromLog(x *exam) string {
	x.addLog(func(*Finding, *explain.Group) {})
	return x.logText()
}

// addLog adds a finding for each incident of the check's kind, after adjust saw it. Where one message came for
// many interrupts or devices, and with one severity, they are one finding.
func (x *exam) addLog(adjust func(*Finding, *explain.Group)) {
	var order []string
	alike := map[string][]Finding{}
	for _, g := range x.groups() {
		f := x.logFinding(g)
		adjust(&f, g)
		key := g.Message.ID + " " + f.Severity.String()
		if alike[key] == nil {
			order = append(order, key)
		}
		alike[key] = append(alike[key], f)
	}
	for _, key := range order {
		if all := alike[key]; len(all) > fewAlike {
			x.add(merged(all))
		} else {
			for _, f := range all {
				x.add(f)
			}
		}
	}
}

// fewAlike is how many findings of one message stand each alone.
const fewAlike = 3

// merged makes one finding of many: the first with its meaning, the first line of each of the others.
func merged(all []Finding) Finding {
	f := all[0]
	f.Title = fmt.Sprintf("%s, and %d more like it", f.Title, len(all)-1)
	f.Evidence = slices.Clone(f.Evidence)
	for i, other := range all[1:] {
		if i == shownLines {
			f.Evidence = append(f.Evidence, Evidence{From: "kernel log", Value: fmt.Sprintf("and %d more", len(all)-1-i)})
			break
		}
		f.Evidence = append(f.Evidence, other.Evidence[0])
	}
	for _, other := range all[1:] {
		f.Vectors = append(f.Vectors, other.Vectors...)
		f.Count += other.Count
	}
	return f
}

// groups are the incidents of the check that runs, in the kernel's own words: what a program wrote is not believed.
func (x *exam) groups() (found []*explain.Group) {
	for _, g := range x.Log.Groups {
		if g.Message.Finding == x.check.id && g.Origin != explain.Program {
			found = append(found, g)
		}
	}
	return found
}

func (x *exam) logText() string {
	return fmt.Sprintf("%s of %s", plural(int(x.Log.Lines), "line"), firstOf(x.LogName, "the kernel log"))
}

// logFinding is a finding with what the log and the catalogue say. One of an earlier boot may be over: it is a notice at most.
func (x *exam) logFinding(g *explain.Group) Finding {
	f := Finding{Severity: g.Severity, Title: g.Title, Meaning: g.Meaning(), Remedies: g.Resolve(), Count: g.Count, Evidence: logLines(g)}
	if g.Verdict != nil {
		f.Meaning = strings.Join(g.Verdict, " ") + " " + f.Meaning
	}
	if n := g.IRQ(); n >= 0 {
		f.Vectors = []string{x.vectorName(g, n)}
	}
	if x.Log.Over(g) {
		f.Severity = min(f.Severity, Notice)
		f.Title += " (in an earlier boot)"
	}
	return f
}

// shownLines is how many lines of one incident are evidence.
const shownLines = 8

func logLines(g *explain.Group) (all []Evidence) {
	for i, line := range g.Lines {
		if i == shownLines {
			break
		}
		e := Evidence{From: "kernel log", Value: line}
		if i == 0 {
			e.Time = g.Stamp
		}
		all = append(all, e)
	}
	if g.Count > 1 {
		last := fmt.Sprintf("%d times", g.Count)
		if g.Last != "" {
			last += ", last at " + g.Last
		}
		all = append(all, Evidence{From: "kernel log", Value: last})
	}
	return all
}

// here returns the irq of an incident as it is now, nil if the log is another machine's or boot's, or the irq is gone.
func (x *exam) here(g *explain.Group, number int) *host.IRQ {
	if x.other || number < 0 || x.Log.Over(g) {
		return nil
	}
	return x.m.IRQ(number)
}

func (x *exam) vectorName(g *explain.Group, number int) string {
	if q := x.here(g, number); q != nil {
		return q.Name()
	}
	return irq.Vector{Source: "irq", Index: number}.String()
}
