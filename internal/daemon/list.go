package daemon

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// pageSize is how many vectors or events one reply has.
const pageSize = 256

func (s *Server) lookup(c *varlink.Call, k *caller) error {
	var in api.VectorIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	v, err := parseVector(in.Vector, "look up")
	if err != nil {
		return err
	}
	info, err := s.seen(k, v, "look up")
	if err != nil {
		foreign, ok := s.foreign(k, v)
		if !ok {
			return err
		}
		info = foreign.info()
	}
	return c.Reply(api.LookupOut{Vector: wireInfo(info)})
}

// wireInfo puts a vector on the wire with the present names of its holders.
func wireInfo(i irq.Info) api.Vector {
	i.Holders = present(i.Holders)
	i.Overdue = present(i.Overdue)
	return api.FromInfo(i)
}

func (s *Server) list(c *varlink.Call, k *caller) error {
	var in api.ListIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	var after irq.Vector
	if in.After != "" {
		var err error
		if after, err = parseVector(in.After, "list"); err != nil {
			return err
		}
	}
	visible := in.Source == ""
	out := api.ListOut{Vectors: []api.Vector{}, Sequence: s.registry.Stats().Sequence}
	for i := range s.registry.List(in.Source, after) {
		if !k.gate.Visible(i.Vector) {
			continue
		}
		visible = true
		if in.Held && i.State == irq.StateFree {
			continue
		}
		if len(out.Vectors) == pageSize {
			out.Next = out.Vectors[pageSize-1].Name
			break
		}
		out.Vectors = append(out.Vectors, wireInfo(i))
	}
	if !visible && in.After == "" {
		return noSuchSource("list", in.Source)
	}
	return c.Reply(out)
}

// noSuchSource is the answer for what is not there and for what policy hides: the same one.
func noSuchSource(operation, name string) *irq.Error {
	return &irq.Error{Code: irq.ErrNoSuchDevice, Operation: operation, Name: name, Reason: irq.ReasonNoSuchSource,
		Detail: "there is no such source", Remedies: []string{"ivt list", "name the device in the policy: [[device]] match = { … }, see ivtd.toml(5)"}}
}

// counted remembers the number of open descriptors for a second: on old kernels it is counted one by one, and anybody
// may ask for it as often as it likes.
type counted struct {
	mu    sync.Mutex
	at    time.Time
	open  int
	limit uint64
}

func (c *counted) inUse() (open int, limit uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.at) > time.Second {
		c.open, c.limit = kernel.DescriptorsInUse()
		c.at = now
	}
	return c.open, c.limit
}

func (s *Server) status(c *varlink.Call, k *caller) error {
	stats, wire, p := s.statsFor(k), s.wire.Stats(), s.live.Load()
	out := api.StatusOut{
		Instance: s.registry.Instance(), Version: s.config.Version, Since: s.since.Round(0).UTC(), PID: pid(), Policy: p.Summary(),
		Sources: s.sourcesFor(k), Vectors: stats.Vectors, Connections: stats.Connections, Orphans: stats.Orphans,
		Waiting: stats.Waiting, Sessions: wire.Sessions, Sequence: stats.Sequence, Refusals: map[string]int{},
	}
	for code, n := range stats.Refusals {
		out.Refusals[fmt.Sprint(uint32(code))] = int(min(n, math.MaxInt))
	}
	open, limit := s.descriptors.inUse()
	out.Limits = []string{
		fmt.Sprintf("sessions: %d of %d", wire.Sessions, s.config.Sessions),
		fmt.Sprintf("file descriptors: %d of %d (RLIMIT_NOFILE)", open, limit),
	}
	if h, ok := s.config.History.(interface{ Degraded() bool }); ok && h.Degraded() {
		out.Limits = append(out.Limits, "history: its file cannot be written now, the last events are kept in memory")
	}
	return c.Reply(out)
}

// statsFor are the registry's totals, without vectors and connections that policy hides from the caller. To count what is left takes a
// look at each vector, so a user does that once at a time.
func (s *Server) statsFor(k *caller) irq.Stats {
	if !k.gate.SeesAll() {
		defer s.asking.take(k.subject.UID)()
	}
	return (&Public{s, k.gate}).Stats()
}

// sourcesFor are the names of the sources of which the caller may see a vector: one that policy hides is not there
// for him (433), and its name is nobody's business either.
func (s *Server) sourcesFor(k *caller) []string {
	names := []string{}
	for _, name := range slices.Sorted(maps.Keys(s.sources.all())) {
		looked := 0
		for i := range s.registry.List(name, irq.Vector{}) {
			if k.gate.Visible(i.Vector) {
				names = append(names, name)
				break
			}
			if looked++; looked == pageSize {
				break // a policy that hides that many hides the source
			}
		}
	}
	return names
}
