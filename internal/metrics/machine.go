package metrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// Finding is what doctor found, as far as metrics show it.
type Finding struct{ ID, Severity string }

type machine struct {
	picture  *picture.Picture
	findings []Finding
	perCPU   bool
}

// Machine collects one picture of a machine, for a text file. Per CPU there are interrupts × CPUs series: on request only.
func Machine(p *picture.Picture, findings []Finding, perCPU bool) Collector {
	return &machine{p, findings, perCPU}
}

func (m *machine) Descs() []*Desc { return machineDescs }

func (m *machine) Collect(emit func(Sample)) {
	gauge(emit, upDesc, oneIf(m.picture.Daemon != nil))
	if m.picture.Daemon != nil {
		status(emit, m.picture.Daemon)
	}
	shown, beyond := 0, 0
	for i := range m.picture.Rows {
		r := &m.picture.Rows[i]
		if r.IRQ != 0 || r.Timer {
			m.kernel(emit, r)
		}
		switch {
		case !r.Managed || !r.Held() && r.Waiting == 0:
		case shown == MostVectors:
			beyond++
		default:
			shown++
			managed(emit, r)
		}
	}
	gauge(emit, beyondDesc, float64(beyond))
	m.found(emit)
}

func status(emit func(Sample), d *ivt.Status) {
	gauge(emit, connectionsDesc, float64(d.Connections))
	gauge(emit, orphansDesc, float64(d.Orphans))
	gauge(emit, waitingDesc, float64(d.Waiting))
	gauge(emit, sessionsDesc, float64(d.Sessions))
	gauge(emit, vectorsDesc, float64(d.Vectors))
	counter(emit, eventsDesc, d.Sequence)
	refusals(emit, func(code irq.Code) uint64 { return uint64(d.Refusals[strconv.FormatUint(uint64(code), 10)]) })
}

// managed is a vector that ivtd hands out and somebody holds.
func managed(emit func(Sample), r *picture.Row) {
	labels := []string{sourceOf(r), r.Name}
	if r.Total != nil {
		counter(emit, arrivedDesc, *r.Total, labels...)
	}
	states(emit, r.Masked, r.Storm, len(r.Holders), r.Waiting, labels)
}

// sourceOf is the source of a vector, which a row that the kernel has, too, does not say.
func sourceOf(r *picture.Row) string {
	v, err := irq.ParseVector(r.Name)
	if err != nil {
		return r.Source
	}
	return cmp.Or(v.Source, r.Source)
}

// kernel is an interrupt of the kernel's.
func (m *machine) kernel(emit func(Sample), r *picture.Row) {
	number := strconv.Itoa(r.IRQ)
	gauge(emit, heldDesc, oneIf(r.Held()), number, r.Name)
	if r.Total != nil {
		counter(emit, kernelDesc, *r.Total, number, r.Name, r.Driver, strings.Join(r.Handlers, ","))
	}
	if !m.perCPU {
		return
	}
	for i, n := range r.Counts {
		counter(emit, kernelCPUDesc, uint64(n), number, r.Name, strconv.Itoa(m.picture.Machine.Columns[i]))
	}
}

func (m *machine) found(emit func(Sample)) {
	sorted := slices.Clone(m.findings)
	slices.SortFunc(sorted, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.ID, b.ID)) })
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n] == sorted[0] {
			n++
		}
		gauge(emit, findingsDesc, float64(n), sorted[0].Severity, sorted[0].ID)
		sorted = sorted[n:]
	}
}
