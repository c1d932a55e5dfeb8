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

// Server are the counts that the registry does not have.
type Server struct {
	Sessions int    // open now
	Workers  uint64 // started by the keeper, the present one included; 0 without a keeper
	Adopted  int    // connections that the present worker took over from its predecessor
	Ended    int    // whose holders ended while no worker ran
	Released int    // that could not be taken over
}

// MostVectors is how many vectors have series of their own: the first ones that somebody holds or waits for, by name. Those
// beyond are in their source's totals, and ivt_vectors_without_series says how many they are.
const MostVectors = 2000

type daemon struct {
	registry Registry
	server   func() Server
}

// Daemon collects what ivtd knows of itself; server may be nil. The labels of a vector are its name and its source; who holds it
// is not a label, for that would be a new series at each connect, and on a port that everybody may read it is nobody's business.
func Daemon(r Registry, server func() Server) prometheus.Collector { return &daemon{r, server} }

func (d *daemon) Describe(c chan<- *prometheus.Desc) { describe(c, daemonDescs) }

func (d *daemon) Collect(c chan<- prometheus.Metric) {
	s := d.registry.Stats()
	gauge(c, connectionsDesc, float64(s.Connections))
	gauge(c, orphansDesc, float64(s.Orphans))
	gauge(c, waitingDesc, float64(s.Waiting))
	gauge(c, vectorsDesc, float64(s.Vectors))
	counter(c, stormsDesc, s.Storms)
	counter(c, ringsDesc, s.Rang)
	counter(c, lostDesc, s.Lost)
	counter(c, overdueDesc, s.Overdue)
	counter(c, eventsDesc, s.Sequence)
	refusals(c, func(code irq.Code) uint64 { return s.Refusals[code] })
	if d.server != nil {
		d.server().collect(c)
	}
	d.vectors(c)
}

func (s Server) collect(c chan<- prometheus.Metric) {
	gauge(c, sessionsDesc, float64(s.Sessions))
	if s.Workers > 0 {
		counter(c, workersDesc, s.Workers)
		gauge(c, adoptedDesc, float64(s.Adopted), "adopted")
		gauge(c, adoptedDesc, float64(s.Ended), "ended")
		gauge(c, adoptedDesc, float64(s.Released), "released")
	}
}

// refusals has a series for each code, zero or not: an alert on a rate needs the zero.
func refusals(c chan<- prometheus.Metric, count func(irq.Code) uint64) {
	for _, code := range irq.Codes() {
		counter(c, refusalsDesc, count(code), strconv.FormatUint(uint64(code), 10), code.Name())
	}
}

// total is of one source.
type total struct{ vectors, held, arrived, taken, unhandled uint64 }

// vectors goes over all vectors once, without holding anything up: the list takes a few at a time.
func (d *daemon) vectors(c chan<- prometheus.Metric) {
	sources := map[string]*total{}
	shown, beyond := 0, 0
	for v := range d.registry.List("", irq.Vector{}) {
		t := sources[v.Vector.Source]
		if t == nil {
			t = &total{}
			sources[v.Vector.Source] = t
		}
		t.add(&v)
		switch {
		case len(v.Holders) == 0 && v.Waiting == 0:
		case shown == MostVectors:
			beyond++
		default:
			shown++
			vector(c, &v)
		}
	}
	gauge(c, sourcesDesc, float64(len(sources)))
	gauge(c, beyondDesc, float64(beyond))
	for name, t := range sources {
		t.collect(c, name)
	}
}

func (t *total) add(v *irq.Info) {
	t.vectors++
	if len(v.Holders) > 0 {
		t.held++
	}
	if v.Counted {
		t.arrived += v.Arrived
		t.taken += v.Taken
	}
	t.unhandled += v.Unhandled
}

func (t *total) collect(c chan<- prometheus.Metric, source string) {
	gauge(c, sourceVectorsDesc, float64(t.vectors), source)
	gauge(c, sourceHeldDesc, float64(t.held), source)
	counter(c, sourceArrivedDesc, t.arrived, source)
	counter(c, sourceTakenDesc, t.taken, source)
	counter(c, sourceUnhandledDesc, t.unhandled, source)
}

func vector(c chan<- prometheus.Metric, v *irq.Info) {
	labels := []string{v.Vector.Source, v.Vector.String()}
	if v.Counted {
		counter(c, arrivedDesc, v.Arrived, labels...)
		counter(c, takenDesc, v.Taken, labels...)
		counter(c, unhandledDesc, v.Unhandled, labels...)
	}
	gauge(c, unacknowledgedDesc, float64(len(v.Overdue)), labels...)
	states(c, v.Masked, v.Storm, len(v.Holders), v.Waiting, labels)
}

func states(c chan<- prometheus.Metric, masked, storm bool, holders, waiting int, labels []string) {
	gauge(c, maskedDesc, oneIf(masked), labels...)
	gauge(c, stormDesc, oneIf(storm), labels...)
	gauge(c, holdersDesc, float64(holders), labels...)
	gauge(c, queueDesc, float64(waiting), labels...)
}
