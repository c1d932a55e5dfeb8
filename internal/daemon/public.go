package daemon

import (
	"context"
	"iter"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/irq"
)

// nobody is the user without files, and without group here: kernel.overflowuid.
const nobody = 65534

// A Public is what nobody in particular may see of a server: the vectors that policy shows to a user without identity, with
// holders of whom it says no more than that they are processes, and refusals without parties. It lives as long as its server.
type Public struct {
	server *Server
	gate   *policy.Gate
}

// Public returns the server's public side. It always goes by the policy in force.
func (s *Server) Public() *Public {
	uid := nobody
	if s.config.Owner == nobody {
		uid = -1 // ivtd's own user may see everything
	}
	return &Public{s, s.live.Gate(policy.Subject{UID: uid, GID: -1})}
}

// Visible reports whether the public may know of a vector.
func (p *Public) Visible(v irq.Vector) bool { return p.gate.Visible(v) }

// Stats returns the registry's totals. Vectors and connections are those that may be seen, and sources those that have any; refusals,
// waiting requests and the like are of the whole ivtd, since they are what its operator wants to be alarmed by.
func (p *Public) Stats() irq.Stats {
	s := p.server.registry.Stats()
	if p.gate.SeesAll() {
		return s
	}
	sources, connections, orphans := map[string]bool{}, map[string]bool{}, map[string]bool{}
	s.Vectors = 0
	for i := range p.server.registry.List("", irq.Vector{}) {
		if !p.Visible(i.Vector) {
			continue
		}
		s.Vectors++
		sources[i.Vector.Source] = true
		for _, h := range i.Holders {
			if h.Connection == "" {
				continue // not through ivtd
			}
			connections[h.Connection] = true
			if i.State == irq.StateOrphaned {
				orphans[h.Connection] = true
			}
		}
	}
	s.Sources, s.Connections, s.Orphans = len(sources), len(connections), len(orphans)
	return s
}

// List is irq.Registry.List of what may be seen, without persons.
func (p *Public) List(source string, after irq.Vector) iter.Seq[irq.Info] {
	return func(yield func(irq.Info) bool) {
		for i := range p.server.registry.List(source, after) {
			if p.Visible(i.Vector) && !yield(without(i)) {
				return
			}
		}
	}
}

// Held iterates over the vectors with connections that may be seen, in no order, at a cost that does not grow with those that are free.
func (p *Public) Held() iter.Seq[irq.Info] {
	return func(yield func(irq.Info) bool) {
		seen := map[irq.Vector]bool{}
		for c := range p.server.registry.Connections() {
			for _, v := range c.Vectors() {
				i, err := p.server.registry.Lookup(v)
				if err != nil || seen[i.Vector] || !p.Visible(i.Vector) {
					continue
				}
				if seen[i.Vector] = true; !yield(without(i)) {
					return
				}
			}
		}
	}
}

// without is a vector without persons.
func without(i irq.Info) irq.Info {
	i.Holders, i.Overdue, i.Detail = Impersonal(i.Holders), Impersonal(i.Overdue), ""
	return i
}

// Watch iterates over the events after since (0: from now on) that may be seen, until ctx or the server ends. lost is how many
// were missed before the event; the last pair may be of a loss alone, with a zero event.
func (p *Public) Watch(ctx context.Context, since uint64) iter.Seq2[irq.Event, uint64] {
	return func(yield func(irq.Event, uint64) bool) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(p.server.base, stop)()
		if since == 0 {
			since = p.server.registry.Stats().Sequence
		}
		w := p.server.registry.Watch(since)
		defer w.Close()
		for {
			e, lost, err := w.Next(ctx)
			if err != nil {
				return
			}
			if !p.sees(e) {
				e = irq.Event{}
			}
			if (e.Kind != "" || lost > 0) && !yield(impersonal(e), lost) {
				return
			}
		}
	}
}

// History returns the last events, at most most, of a vector, of all for the zero one.
func (p *Public) History(v irq.Vector, most int) (events []irq.Event, err error) {
	if info, err := p.server.registry.Lookup(v); err == nil {
		v = info.Vector // an alias
	}
	err = p.server.history.Read(0, func(e irq.Event) bool {
		if p.server.concerns(e, v, e.Time) && p.sees(e) {
			if events = append(events, impersonal(e)); len(events) >= 2*most {
				events = append(events[:0], events[len(events)-most:]...)
			}
		}
		return true
	})
	return events[max(0, len(events)-most):], err
}

func (p *Public) sees(e irq.Event) bool { return (&caller{gate: p.gate}).sees(e) }

// Impersonal returns holders without what tells one process from another; kernel drivers are no persons.
func Impersonal(holders []irq.Holder) []irq.Holder {
	var all []irq.Holder
	for _, h := range holders {
		if h.Kind == irq.HolderKernel {
			h = irq.Holder{Kind: h.Kind, Driver: h.Driver, Device: h.Device, IRQ: h.IRQ}
		} else {
			h = irq.Holder{Kind: h.Kind}
		}
		all = append(all, h)
	}
	return all
}

// impersonal keeps of an event what happened to which vector, when, and by which code. Texts may name processes.
func impersonal(e irq.Event) irq.Event {
	e.Detail = ""
	if e.Holder != nil {
		e.Holder = &Impersonal([]irq.Holder{*e.Holder})[0]
	}
	if r := e.Refused; r != nil {
		e.Refused = &irq.Error{Code: r.Code, Operation: r.Operation, Vector: r.Vector, Reason: r.Reason}
	}
	return e
}
