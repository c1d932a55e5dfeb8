package metrics

import (
	"iter"
	"strconv"

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
func Daemon(r Registry, server func() Server) Collector { return &daemon{r, server} }

func (d *daemon) Descs() []*Desc { return daemonDescs }

func (d *daemon) Collect(emit func(Sample)) {
	s := d.registry.Stats()
	gauge(emit, connectionsDesc, float64(s.Connections))
	gauge(emit, orphansDesc, float64(s.Orphans))
	gauge(emit, waitingDesc, float64(s.Waiting))
	gauge(emit, vectorsDesc, float64(s.Vectors))
	counter(emit, stormsDesc, s.Storms)
	counter(emit, ringsDesc, s.Rang)
	counter(emit, lostDesc, s.Lost)
	counter(emit, overdueDesc, s.Overdue)
	counter(emit, eventsDesc, s.Sequence)
	refusals(emit, func(code irq.Code) uint64 { return s.Refusals[code] })
	if d.server != nil {
		d.server().collect(emit)
	}
	d.vectors(emit)
}

func (s Server) collect(emit func(Sample)) {
	gauge(emit, sessionsDesc, float64(s.Sessions))
	if s.Workers > 0 {
		counter(emit, workersDesc, s.Workers)
		gauge(emit, adoptedDesc, float64(s.Adopted), "adopted")
		gauge(emit, adoptedDesc, float64(s.Ended), "ended")
		gauge(emit, adoptedDesc, float64(s.Released), "released")
	}
}

// refusals has a series for each code, zero or not: an alert on a rate needs the zero.
func refusals(emit func(Sample), count func(irq.Code) uint64) {
	for _, code := range irq.Codes() {
		counter(emit, refusalsDesc, count(code), strconv.FormatUint(uint64(code), 10), code.Name())
	}
}

// total is of one source.
type total struct{ vectors, held, arrived, taken, unhandled uint64 }

// vectors goes over all vectors once, without holding anything up: the list takes a few at a time.
func (d *daemon) vectors(emit func(Sample)) {
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
			vector(emit, &v)
		}
	}
	gauge(emit, sourcesDesc, float64(len(sources)))
	gauge(emit, beyondDesc, float64(beyond))
	for name, t := range sources {
		t.collect(emit, name)
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

func (t *total) collect(emit func(Sample), source string) {
	gauge(emit, sourceVectorsDesc, float64(t.vectors), source)
	gauge(emit, sourceHeldDesc, float64(t.held), source)
	counter(emit, sourceArrivedDesc, t.arrived, source)
	counter(emit, sourceTakenDesc, t.taken, source)
	counter(emit, sourceUnhandledDesc, t.unhandled, source)
}

func vector(emit func(Sample), v *irq.Info) {
	labels := []string{v.Vector.Source, v.Vector.String()}
	if v.Counted {
		counter(emit, arrivedDesc, v.Arrived, labels...)
		counter(emit, takenDesc, v.Taken, labels...)
		counter(emit, unhandledDesc, v.Unhandled, labels...)
	}
	gauge(emit, unacknowledgedDesc, float64(len(v.Overdue)), labels...)
	states(emit, v.Masked, v.Storm, len(v.Holders), v.Waiting, labels)
}

func states(emit func(Sample), masked, storm bool, holders, waiting int, labels []string) {
	gauge(emit, maskedDesc, oneIf(masked), labels...)
	gauge(emit, stormDesc, oneIf(storm), labels...)
	gauge(emit, holdersDesc, float64(holders), labels...)
	gauge(emit, queueDesc, float64(waiting), labels...)
}
