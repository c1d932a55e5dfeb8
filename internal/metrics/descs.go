package metrics

import "github.com/ivtd/ivt/irq"

var (
	vectorLabels = []string{"source", "vector"}

	buildDesc = desc("build_info", "Always 1; the version is a label.", "version")

	connectionsDesc = desc("connections", "Connections, those in their grace included.")
	orphansDesc     = desc("orphaned_connections", "Connections whose holder is gone and whose grace runs.")
	waitingDesc     = desc("waiting_requests", "Requests that wait for vectors.")
	sessionsDesc    = desc("sessions", "Sessions that are open.")
	sourcesDesc     = desc("sources", "Sources that are attached.")
	vectorsDesc     = desc("vectors", "Vectors of attached sources.")
	beyondDesc      = desc("vectors_without_series", "Vectors that are held and have no series of their own, because there are too many.")
	refusalsDesc    = desc("refusals_total", "Requests that were refused, by Windows error code.", "code", "name")
	stormsDesc      = desc("storms_total", "Vectors masked because of unproductive interrupts.")
	ringsDesc       = desc("rings_total", "Holders woken once more because in doubt.")
	lostDesc        = desc("lost_interrupts_total", "Interrupts that the kernel dropped before ivt saw them.")
	overdueDesc     = desc("overdue_holders_total", "Holders that kept a level line masked beyond the deadline.")
	eventsDesc      = desc("events_total", "Events of history.")
	workersDesc     = desc("worker_starts_total", "Workers that the keeper has started.")
	adoptedDesc     = desc("adopted_connections", "Connections of its predecessor, by what the present worker did with them at its start.", "outcome")

	sourceVectorsDesc   = desc("source_vectors", "Vectors of the source.", "source")
	sourceHeldDesc      = desc("source_held_vectors", "Vectors of the source that somebody holds.", "source")
	sourceArrivedDesc   = desc("source_interrupts_total", "Interrupts that arrived at all vectors of the source, where ivtd counts them.", "source")
	sourceTakenDesc     = desc("source_taken_total", "Interrupts that holders took from all vectors of the source.", "source")
	sourceUnhandledDesc = desc("source_unhandled_total", "Interrupts of the source that holders say were not their own.", "source")

	arrivedDesc        = desc("vector_interrupts_total", "Interrupts that arrived, where ivtd or the kernel counts them.", vectorLabels...)
	takenDesc          = desc("vector_taken_total", "Interrupts that the holder took.", vectorLabels...)
	unhandledDesc      = desc("vector_unhandled_total", "Interrupts that the holder says were not its own.", vectorLabels...)
	unacknowledgedDesc = desc("vector_unacknowledged_holders", "Holders that have not acknowledged the level line yet; it is masked until then.", vectorLabels...)
	maskedDesc         = desc("vector_masked", "1 while the vector is masked.", vectorLabels...)
	stormDesc          = desc("vector_storm", "1 while the vector is masked because of a storm.", vectorLabels...)
	holdersDesc        = desc("vector_holders", "Connections on the vector.", vectorLabels...)
	queueDesc          = desc("vector_waiting_requests", "Requests that wait for the vector.", vectorLabels...)

	daemonDescs = []*Desc{connectionsDesc, orphansDesc, waitingDesc, sessionsDesc, sourcesDesc, vectorsDesc, beyondDesc, refusalsDesc, stormsDesc,
		ringsDesc, lostDesc, overdueDesc, eventsDesc, workersDesc, adoptedDesc, sourceVectorsDesc, sourceHeldDesc, sourceArrivedDesc, sourceTakenDesc,
		sourceUnhandledDesc, arrivedDesc, takenDesc, unhandledDesc, unacknowledgedDesc, maskedDesc, stormDesc, holdersDesc, queueDesc}
)

var (
	upDesc        = desc("up", "1 if ivtd answered.")
	kernelDesc    = desc("irq_interrupts_total", "Interrupts of a Linux irq since boot. Each CPU's count wraps at 2^32 in the kernel.", "irq", "vector", "driver", "handler")
	kernelCPUDesc = desc("irq_cpu_interrupts_total", "The same for each CPU.", "irq", "vector", "cpu")
	heldDesc      = desc("irq_held", "1 if the irq has a handler.", "irq", "vector")
	findingsDesc  = desc("findings", "Findings of ivt doctor, by severity.", "severity", "finding")

	machineDescs = []*Desc{upDesc, kernelDesc, kernelCPUDesc, heldDesc, findingsDesc, connectionsDesc, orphansDesc, waitingDesc, sessionsDesc,
		vectorsDesc, beyondDesc, refusalsDesc, eventsDesc, arrivedDesc, maskedDesc, stormDesc, holdersDesc, queueDesc}
)

// A Desc describes a metric.
type Desc struct {
	Name   string
	Help   string
	Labels []string // their names
}

// A Sample is one value of a metric.
type Sample struct {
	*Desc
	Counter bool // it only goes on; otherwise a gauge
	Value   float64
	Values  []string // of the labels
}

// A Collector has samples when it is asked.
type Collector interface {
	// Descs are all metrics that there may be samples of.
	Descs() []*Desc
	// Collect calls emit for each sample, in any order.
	Collect(emit func(Sample))
}

// all metrics that there are.
var all []*Desc

func desc(name, help string, labels ...string) *Desc {
	d := &Desc{"ivt_" + name, help, labels}
	all = append(all, d)
	return d
}

// Names returns the names of all metrics of this package.
func Names() (names []string) {
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names
}

func gauge(emit func(Sample), d *Desc, value float64, labels ...string) {
	emit(Sample{d, false, value, harmless(labels)})
}

func counter(emit func(Sample), d *Desc, value uint64, labels ...string) {
	emit(Sample{d, true, float64(value), harmless(labels)})
}

// maxLabel is the most of a foreign text that a label has, in bytes.
const maxLabel = 256

// harmless makes texts of strangers fit for a terminal and for the format, which takes UTF-8 only: one bad byte in the name of a
// kernel's handler would cost the whole scrape.
func harmless(labels []string) []string {
	all := make([]string, len(labels))
	for i, text := range labels {
		if all[i] = irq.Printable(text); len(all[i]) > maxLabel {
			all[i] = irq.Printable(all[i][:maxLabel])
		}
	}
	return all
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
