package metrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

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
func Machine(p *picture.Picture, findings []Finding, perCPU bool) prometheus.Collector {
	return &machine{p, findings, perCPU}
}

func (m *machine) Describe(c chan<- *prometheus.Desc) { describe(c, machineDescs) }

func (m *machine) Collect(c chan<- prometheus.Metric) {
	gauge(c, upDesc, oneIf(m.picture.Daemon != nil))
	if m.picture.Daemon != nil {
		status(c, m.picture.Daemon)
	}
	shown, beyond := 0, 0
	for i := range m.picture.Rows {
		r := &m.picture.Rows[i]
		if r.IRQ != 0 || r.Timer {
			m.kernel(c, r)
		}
		switch {
		case !r.Managed || !r.Held() && r.Waiting == 0:
		case shown == MostVectors:
			beyond++
		default:
			shown++
			managed(c, r)
		}
	}
	gauge(c, beyondDesc, float64(beyond))
	m.found(c)
}

func status(c chan<- prometheus.Metric, d *ivt.Status) {
	gauge(c, connectionsDesc, float64(d.Connections))
	gauge(c, orphansDesc, float64(d.Orphans))
	gauge(c, waitingDesc, float64(d.Waiting))
	gauge(c, sessionsDesc, float64(d.Sessions))
	gauge(c, vectorsDesc, float64(d.Vectors))
	counter(c, eventsDesc, d.Sequence)
	refusals(c, func(code irq.Code) uint64 { return uint64(d.Refusals[strconv.FormatUint(uint64(code), 10)]) })
}

// managed is a vector that ivtd hands out and somebody holds.
func managed(c chan<- prometheus.Metric, r *picture.Row) {
	labels := []string{sourceOf(r), r.Name}
	if r.Total != nil {
		counter(c, arrivedDesc, *r.Total, labels...)
	}
	states(c, r.Masked, r.Storm, len(r.Holders), r.Waiting, labels)
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
func (m *machine) kernel(c chan<- prometheus.Metric, r *picture.Row) {
	number := strconv.Itoa(r.IRQ)
	gauge(c, heldDesc, oneIf(r.Held()), number, r.Name)
	if r.Total != nil {
		counter(c, kernelDesc, *r.Total, number, r.Name, r.Driver, strings.Join(r.Handlers, ","))
	}
	if !m.perCPU {
		return
	}
	for i, n := range r.Counts {
		counter(c, kernelCPUDesc, uint64(n), number, r.Name, strconv.Itoa(m.picture.Machine.Columns[i]))
	}
}

func (m *machine) found(c chan<- prometheus.Metric) {
	sorted := slices.Clone(m.findings)
	slices.SortFunc(sorted, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.ID, b.ID)) })
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n] == sorted[0] {
			n++
		}
		gauge(c, findingsDesc, float64(n), sorted[0].Severity, sorted[0].ID)
		sorted = sorted[n:]
	}
}
