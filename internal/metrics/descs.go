package metrics

import (
	"slices"

	"github.com/ivtd/ivt/irq"
)

var (
	vectorLabels = []string{"source", "vector"}

	buildDesc = &Desc{"ivt_build_info", "Always 1; the version is a label.", []string{"version"}}

	connectionsDesc = &Desc{"ivt_connections", "Connections, those in their grace included.", nil}
	orphansDesc     = &Desc{"ivt_orphaned_connections", "Connections whose holder is gone and whose grace runs.", nil}
	waitingDesc     = &Desc{"ivt_waiting_requests", "Requests that wait for vectors.", nil}
	sessionsDesc    = &Desc{"ivt_sessions", "Sessions that are open.", nil}
	sourcesDesc     = &Desc{"ivt_sources", "Sources that are attached.", nil}
	vectorsDesc     = &Desc{"ivt_vectors", "Vectors of attached sources.", nil}
	beyondDesc      = &Desc{"ivt_vectors_without_series", "Vectors that are held and have no series of their own, because there are too many.", nil}
	refusalsDesc    = &Desc{"ivt_refusals_total", "Requests that were refused, by Windows error code.", []string{"code", "name"}}
	stormsDesc      = &Desc{"ivt_storms_total", "Vectors masked because of unproductive interrupts.", nil}
	ringsDesc       = &Desc{"ivt_rings_total", "Holders woken once more because in doubt.", nil}
	lostDesc        = &Desc{"ivt_lost_interrupts_total", "Interrupts that the kernel dropped before ivt saw them.", nil}
	overdueDesc     = &Desc{"ivt_overdue_holders_total", "Holders that kept a level line masked beyond the deadline.", nil}
	eventsDesc      = &Desc{"ivt_events_total", "Events of history.", nil}
	workersDesc     = &Desc{"ivt_worker_starts_total", "Workers that the keeper has started.", nil}
	adoptedDesc     = &Desc{"ivt_adopted_connections", "Connections of its predecessor, by what the present worker did with them at its start.", []string{"outcome"}}

	sourceVectorsDesc   = &Desc{"ivt_source_vectors", "Vectors of the source.", []string{"source"}}
	sourceHeldDesc      = &Desc{"ivt_source_held_vectors", "Vectors of the source that somebody holds.", []string{"source"}}
	sourceArrivedDesc   = &Desc{"ivt_source_interrupts_total", "Interrupts that arrived at all vectors of the source, where ivtd counts them.", []string{"source"}}
	sourceTakenDesc     = &Desc{"ivt_source_taken_total", "Interrupts that holders took from all vectors of the source.", []string{"source"}}
	sourceUnhandledDesc = &Desc{"ivt_source_unhandled_total", "Interrupts of the source that holders say were not their own.", []string{"source"}}

	arrivedDesc        = &Desc{"ivt_vector_interrupts_total", "Interrupts that arrived, where ivtd or the kernel counts them.", vectorLabels}
	takenDesc          = &Desc{"ivt_vector_taken_total", "Interrupts that the holder took.", vectorLabels}
	unhandledDesc      = &Desc{"ivt_vector_unhandled_total", "Interrupts that the holder says were not its own.", vectorLabels}
	unacknowledgedDesc = &Desc{"ivt_vector_unacknowledged_holders", "Holders that have not acknowledged the level line yet; it is masked until then.", vectorLabels}
	maskedDesc         = &Desc{"ivt_vector_masked", "1 while the vector is masked.", vectorLabels}
	stormDesc          = &Desc{"ivt_vector_storm", "1 while the vector is masked because of a storm.", vectorLabels}
	holdersDesc        = &Desc{"ivt_vector_holders", "Connections on the vector.", vectorLabels}
	queueDesc          = &Desc{"ivt_vector_waiting_requests", "Requests that wait for the vector.", vectorLabels}

	daemonDescs = []*Desc{connectionsDesc, orphansDesc, waitingDesc, sessionsDesc, sourcesDesc, vectorsDesc, beyondDesc, refusalsDesc, stormsDesc,
		ringsDesc, lostDesc, overdueDesc, eventsDesc, workersDesc, adoptedDesc, sourceVectorsDesc, sourceHeldDesc, sourceArrivedDesc, sourceTakenDesc,
		sourceUnhandledDesc, arrivedDesc, takenDesc, unhandledDesc, unacknowledgedDesc, maskedDesc, stormDesc, holdersDesc, queueDesc}
)

var (
	upDesc        = &Desc{"ivt_up", "1 if ivtd answered.", nil}
	kernelDesc    = &Desc{"ivt_irq_interrupts_total", "Interrupts of a Linux irq since boot. Each CPU's count wraps at 2^32 in the kernel.", []string{"irq", "vector", "driver", "handler"}}
	kernelCPUDesc = &Desc{"ivt_irq_cpu_interrupts_total", "The same for each CPU.", []string{"irq", "vector", "cpu"}}
	heldDesc      = &Desc{"ivt_irq_held", "1 if the irq has a handler.", []string{"irq", "vector"}}
	findingsDesc  = &Desc{"ivt_findings", "Findings of ivt doctor, by severity.", []string{"severity", "finding"}}

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

// Names returns the names of all metrics of this package.
func Names() (names []string) {
	for _, d := range slices.Concat(daemonDescs, machineDescs, Build{}.Descs()) {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
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
