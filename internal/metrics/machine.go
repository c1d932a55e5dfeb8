package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ivtd/ivt/internal/picture"
)

var (
	upDesc        = desc("up", "1 if ivtd answered.")
	kernelDesc    = desc("irq_interrupts_total", "Interrupts of a Linux irq since boot. Each CPU's count wraps at 2^32 in the kernel.", "irq", "vector", "driver", "handler")
	kernelCPUDesc = desc("irq_cpu_interrupts_total", "The same for each CPU.", "irq", "vector", "cpu")
	heldDesc      = desc("irq_held", "1 if the irq has a handler.", "irq", "vector")
	findingsDesc  = desc("findings", "Findings of ivt doctor, by severity.", "severity", "finding")
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

func (m *machine) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, c) }

func (m *machine) Collect(c chan<- prometheus.Metric) {
	gauge(c, upDesc, oneIf(m.picture.Daemon != nil))
	if d := m.picture.Daemon; d != nil {
		gauge(c, connectionsDesc, float64(d.Connections))
		gauge(c, orphansDesc, float64(d.Orphans))
		gauge(c, waitingDesc, float64(d.Waiting))
		gauge(c, vectorsDesc, float64(d.Vectors))
		counter(c, eventsDesc, d.Sequence)
	}
	for i := range m.picture.Rows {
		m.row(c, &m.picture.Rows[i])
	}
	counts := map[Finding]int{}
	for _, f := range m.findings {
		counts[f]++
	}
	for f, n := range counts {
		gauge(c, findingsDesc, float64(n), f.Severity, f.ID)
	}
}

func (m *machine) row(c chan<- prometheus.Metric, r *picture.Row) {
	if r.IRQ == 0 && !r.Timer {
		if r.Held() && r.Total != nil {
			counter(c, arrivedDesc, *r.Total, r.Source, r.Name)
		}
		return
	}
	number, handler := strconv.Itoa(r.IRQ), ""
	for i, h := range r.Handlers {
		if i > 0 {
			handler += ","
		}
		handler += h
	}
	gauge(c, heldDesc, oneIf(r.Held()), number, r.Name)
	if r.Total != nil {
		counter(c, kernelDesc, *r.Total, number, r.Name, r.Driver, handler)
	}
	if !m.perCPU {
		return
	}
	for i, n := range r.Counts {
		counter(c, kernelCPUDesc, uint64(n), number, r.Name, strconv.Itoa(m.picture.Machine.Columns[i]))
	}
}
