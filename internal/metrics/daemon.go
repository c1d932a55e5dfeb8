package metrics

import (
	"iter"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ivtd/ivt/irq"
)

// Registry is what Daemon asks; *irq.Registry is one.
type Registry interface {
	Stats() irq.Stats
	List(source string, after irq.Vector) iter.Seq[irq.Info]
}

// Restarts are the counts of the keeper's side. Nil means that there is none.
type Restarts struct {
	Workers  uint64 // workers started, the present one included
	Adopted  uint64 // connections taken over by the present worker
	Released uint64 // that could not be taken over
}

type daemon struct {
	registry Registry
	restarts func() *Restarts
}

// Daemon collects what ivtd knows of itself. The labels of a vector are its name and its source; who holds it is not a label, for
// that would be a new series at each connect, and on a port that everybody may read it is nobody's business.
func Daemon(r Registry, restarts func() *Restarts) prometheus.Collector { return &daemon{r, restarts} }

var (
	vectorLabels = []string{"source", "vector"}

	connectionsDesc = desc("connections", "Connections, those in their grace included.")
	orphansDesc     = desc("orphaned_connections", "Connections whose holder is gone and whose grace runs.")
	waitingDesc     = desc("waiting_requests", "Requests that wait for vectors.")
	sourcesDesc     = desc("sources", "Sources that are attached.")
	vectorsDesc     = desc("vectors", "Vectors of attached sources.")
	refusalsDesc    = desc("refusals_total", "Requests that were refused, by Windows error code.", "code", "name")
	stormsDesc      = desc("storms_total", "Vectors masked because of unproductive interrupts.")
	ringsDesc       = desc("rings_total", "Holders woken once more because in doubt.")
	gapsDesc        = desc("lost_interrupts_total", "Interrupts that the kernel dropped before ivt saw them.")
	overdueDesc     = desc("overdue_holders_total", "Holders that kept a level line masked beyond the deadline.")
	eventsDesc      = desc("events_total", "Events of history.")
	workersDesc     = desc("worker_starts_total", "Workers that the keeper has started.")
	adoptedDesc     = desc("adopted_connections", "Connections that the present worker took over from its predecessor.")
	unadoptedDesc   = desc("unadopted_connections", "Connections that could not be taken over and were released.")

	arrivedDesc   = desc("vector_interrupts_total", "Interrupts that arrived, where ivtd or the kernel counts them.", vectorLabels...)
	takenDesc     = desc("vector_taken_total", "Interrupts that the holder took.", vectorLabels...)
	unhandledDesc = desc("vector_unhandled_total", "Interrupts that the holder says were not its own.", vectorLabels...)
	maskedDesc    = desc("vector_masked", "1 while the vector is masked.", vectorLabels...)
	stormDesc     = desc("vector_storm", "1 while the vector is masked because of a storm.", vectorLabels...)
	holdersDesc   = desc("vector_holders", "Connections on the vector.", vectorLabels...)
	queueDesc     = desc("vector_waiting", "Requests that wait for the vector.", vectorLabels...)
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("ivt", "", name), help, labels, nil)
}

func (d *daemon) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(d, c) }

func (d *daemon) Collect(c chan<- prometheus.Metric) {
	s := d.registry.Stats()
	gauge(c, connectionsDesc, float64(s.Connections))
	gauge(c, orphansDesc, float64(s.Orphans))
	gauge(c, waitingDesc, float64(s.Waiting))
	gauge(c, sourcesDesc, float64(s.Sources))
	gauge(c, vectorsDesc, float64(s.Vectors))
	counter(c, stormsDesc, s.Storms)
	counter(c, ringsDesc, s.Rang)
	counter(c, gapsDesc, s.Lost)
	counter(c, overdueDesc, s.Overdue)
	counter(c, eventsDesc, s.Sequence)
	refusals(c, s.Refusals)
	if d.restarts != nil {
		if r := d.restarts(); r != nil {
			counter(c, workersDesc, r.Workers)
			gauge(c, adoptedDesc, float64(r.Adopted))
			gauge(c, unadoptedDesc, float64(r.Released))
		}
	}
	for v := range d.registry.List("", irq.Vector{}) {
		if len(v.Holders) > 0 || v.Waiting > 0 {
			vector(c, &v)
		}
	}
}

// refusals has a series for each code, zero or not: an alert on a rate needs the zero.
func refusals(c chan<- prometheus.Metric, counts map[irq.Code]uint64) {
	for _, code := range irq.Codes() {
		counter(c, refusalsDesc, counts[code], strconv.FormatUint(uint64(code), 10), code.Name())
	}
}

func vector(c chan<- prometheus.Metric, v *irq.Info) {
	labels := []string{v.Vector.Source, v.Vector.String()}
	if v.Counted {
		counter(c, arrivedDesc, v.Arrived, labels...)
		counter(c, takenDesc, v.Taken, labels...)
		counter(c, unhandledDesc, v.Unhandled, labels...)
	}
	gauge(c, maskedDesc, oneIf(v.Masked), labels...)
	gauge(c, stormDesc, oneIf(v.Storm), labels...)
	gauge(c, holdersDesc, float64(len(v.Holders)), labels...)
	gauge(c, queueDesc, float64(v.Waiting), labels...)
}

func gauge(c chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(c chan<- prometheus.Metric, d *prometheus.Desc, value uint64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
