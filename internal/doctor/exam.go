package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
)

// Input is what the doctor looks at. Machine is required; what else is nil is reported as not seen.
type Input struct {
	Name    string         // of the machine; "" is "this machine"
	Machine *host.Machine  // with Parts, as far as they can be had
	Before  *host.Machine  // an earlier picture with host.PartCounts and host.PartSystem, for rates
	Map     *vectormap.Map // which CPU vectors are in use; x86
	MapWhy  string         // why Map is nil
	Log     *explain.Log   // of this machine
	LogName string         // where Log is from
	LogWhy  string         // why Log is nil
	// Ours reports whether a process belongs to ivt, so that what it holds is no finding. nil takes processes
	// named ivtd.
	Ours func(h host.Holder) bool
}

// Parts are those of a machine that the doctor looks at.
const Parts = host.PartCounts | host.PartDevices | host.PartDetail | host.PartAffinity | host.PartSpurious | host.PartDescriptors |
	host.PartThreads | host.PartHolders | host.PartSystem

// Examine says what is wrong. It reads nothing and changes nothing, and may be called from several goroutines.
func Examine(in Input) *Report {
	x := newExam(in)
	for i := range checks {
		x.run(&checks[i])
	}
	x.report.Unseen = append(x.report.Unseen, x.blind()...)
	slices.SortStableFunc(x.report.Findings, func(a, b *Finding) int { return int(b.Severity) - int(a.Severity) })
	return x.report
}

// An exam is one call of Examine.
type exam struct {
	Input
	m      *host.Machine
	report *Report
	check  *check // that runs
	rates  map[int]host.Rate
	rows   map[string]host.Rate
	uptime time.Duration // 0 if not known
	other  bool          // the log is another kernel's
}

func newExam(in Input) *exam {
	m := in.Machine
	x := &exam{Input: in, m: m, rates: map[int]host.Rate{}, rows: map[string]host.Rate{}}
	x.report = &Report{Machine: in.Name, Kernel: m.Kernel, Arch: m.Arch, CPUs: m.CPUs.Online.Len(), Interrupts: len(m.IRQs), Taken: m.Taken,
		Findings: []*Finding{}, Looked: []Looked{}, Unseen: []Unseen{}}
	if x.report.Machine == "" {
		x.report.Machine = "this machine"
	}
	if !m.Taken.IsZero() && !m.Booted.IsZero() && m.Taken.After(m.Booted) {
		x.uptime = m.Taken.Sub(m.Booted)
	}
	x.compare()
	x.readLog()
	return x
}

func (x *exam) compare() {
	if x.Before == nil {
		return
	}
	set, err := host.Rates(x.Before, x.m)
	if err != nil {
		x.report.Unseen = append(x.report.Unseen, Unseen{What: "rates", Why: err.Error()})
		return
	}
	x.report.Sampled = set.Elapsed.Seconds()
	for _, r := range set.IRQs {
		if !r.Restarted && !r.Uncertain {
			x.rates[r.IRQ] = r
		}
	}
	for _, r := range set.Rows {
		x.rows[r.Label] = r
	}
}

func (x *exam) readLog() {
	l := x.Log
	if l == nil {
		return
	}
	read := &LogRead{Name: x.LogName, Lines: l.Lines, Foreign: l.Foreign, Dropped: l.Dropped}
	if l.Kernel != "" && x.m.Kernel != "" && l.Kernel != x.m.Kernel {
		x.other = true
		read.Other = fmt.Sprintf("it is of Linux %s and the machine runs %s", l.Kernel, x.m.Kernel)
	}
	x.report.Log = read
}

// run runs one check, or says why not.
func (x *exam) run(c *check) {
	x.check = c
	if missing := c.needs &^ x.has(); missing != 0 {
		x.unmet(c, missing)
		return
	}
	before := len(x.report.Findings)
	what := c.examine(x)
	x.report.Looked = append(x.report.Looked, Looked{ID: c.id, For: c.looks, What: what, Found: len(x.report.Findings) - before})
}

// add records a finding of the check that runs. Without evidence there is none.
func (x *exam) add(f Finding) {
	f.ID, f.Page = x.check.id, "docs/findings/"+x.check.id+".md"
	slices.Sort(f.Vectors)
	f.Vectors = slices.Compact(f.Vectors)
	x.report.Findings = append(x.report.Findings, &f)
}

// unsee records something that the running check could not look at.
func (x *exam) unsee(what, why, cure string) {
	u := Unseen{what, why, cure}
	if !slices.Contains(x.report.Unseen, u) {
		x.report.Unseen = append(x.report.Unseen, u)
	}
}

// rate returns how often an irq fires per second: now, if there are two pictures, else on average since boot. how says
// which; ok is false if neither is known.
func (x *exam) rate(q *host.IRQ) (perSecond float64, how string, ok bool) {
	if r, found := x.rates[q.Number]; found {
		return r.Total, fmt.Sprintf("over %.1f s", x.report.Sampled), true
	}
	if x.Before == nil && x.uptime > time.Minute {
		return float64(q.Total) / x.uptime.Seconds(), "on average since boot", true
	}
	return 0, "", false
}

// firesOn reports whether an irq fires on a CPU of the set: now, if there are two pictures, else whether it ever did.
func (x *exam) firesOn(q *host.IRQ, set host.CPUSet) bool {
	if r, found := x.rates[q.Number]; found && r.PerCPU != nil {
		for i, cpu := range x.commonColumns() {
			if i < len(r.PerCPU) && r.PerCPU[i] > 0 && set.Has(cpu) {
				return true
			}
		}
		return false
	}
	for i, cpu := range x.m.Columns {
		if i < len(q.Counts) && q.Counts[i] > 0 && set.Has(cpu) {
			return true
		}
	}
	return false
}

// commonColumns are the CPUs of Rate.PerCPU.
func (x *exam) commonColumns() (cpus []int) {
	for _, cpu := range x.m.Columns {
		if slices.Contains(x.Before.Columns, cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// row is the evidence of a row of /proc/interrupts.
func row(q *host.IRQ) Evidence {
	return Evidence{From: "/proc/interrupts", Value: fmt.Sprintf("irq %d, %s, fired %d times: %s", q.Number, chip(q), q.Total, names(q))}
}

func chip(q *host.IRQ) string {
	s := q.Chip
	if q.Trigger != "" {
		s += " " + q.Trigger
	}
	return strings.TrimSpace(s)
}

// names joins the handlers of an irq.
func names(q *host.IRQ) string {
	if len(q.Handlers) == 0 {
		return "no handler"
	}
	all := make([]string, len(q.Handlers))
	for i, h := range q.Handlers {
		all[i] = h.Name
	}
	return strings.Join(all, ", ")
}

// deviceName is a device as people know it: its interface or disk, and where it is.
func deviceName(d *host.Device) string {
	name := firstOf(d.Address, d.Source)
	switch {
	case len(d.Net) > 0:
		name = strings.Join(d.Net, ", ") + " (" + name + ")"
	case len(d.Block) > 0:
		name = strings.Join(d.Block, ", ") + " (" + name + ")"
	}
	return name
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// isX86 reports whether the machine has x86's vectors.
func (x *exam) isX86() bool {
	return strings.HasPrefix(x.m.Arch, "x86") || x.m.Arch == "i386" || x.m.Arch == "i686"
}

func plural(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
