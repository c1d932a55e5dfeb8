package irq

import (
	"iter"
	"strings"
)

// Info is what is known of a vector.
type Info struct {
	Vector     Vector
	Aliases    []Vector
	Instance   string
	State      State
	Trigger    Trigger
	Shareable  bool
	Maskable   bool
	Delivery   Delivery
	Protection string
	Masked     bool
	Holders    []Holder
	Waiting    int    // requests that named it and wait
	Arrived    uint64 // counted by the registry; meaningless for eventfd (Counted false)
	Taken      uint64 // of these, given to the holder; of sharers, to all of them
	Unhandled  uint64 // deliveries that the holders said were not theirs
	Counted    bool
	Overdue    []Holder // who keeps a level line masked
	Storm      bool
	Reason     Reason
	Detail     string
}

// Lookup returns what is known of one vector (alias or canonical): ErrNoSuchDevice, ErrInvalidParameter.
func (r *Registry) Lookup(v Vector) (Info, error) {
	if !v.valid() {
		return Info{}, &Error{Code: ErrInvalidParameter, Operation: "look up", Name: v.String(), Reason: ReasonMalformed, Detail: "this names no vector"}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, s := r.resolve(v)
	if s == nil {
		return Info{}, noSuchError("look up", v)
	}
	if l == nil {
		return Info{}, rangeError("look up", v, s)
	}
	return l.info(), nil
}

// info describes the line. Locked.
func (l *Line) info() Info {
	g := l.group
	spec := &g.source.spec
	i := Info{
		Vector: l.Vector(), Instance: spec.Instance, State: l.state(), Trigger: g.Trigger, Shareable: g.Shareable, Maskable: g.Maskable,
		Delivery: g.Delivery, Protection: spec.Protection, Counted: g.Delivery != DeliveryEventfd, Arrived: l.late.Load(),
	}
	m := l.more
	if m == nil {
		return i
	}
	i.Aliases, i.Waiting, i.Taken, i.Unhandled, i.Holders = m.aliases, m.waiting, m.taken, m.unhandled, l.holders()
	if m.broken != nil {
		i.Reason, i.Detail = m.broken.Reason, m.broken.Detail
	}
	if m.chain != nil {
		m.chain.describe(&i)
	}
	i.Arrived += i.Taken
	return i
}

// describe adds what the actions know. Registry.mu is held.
func (c *chain) describe(i *Info) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := true
	var pending uint64
	for _, a := range c.actions {
		w := a.word.Load()
		i.Storm = i.Storm || w&stormy != 0
		all = all && w&(masked|stormy) != 0
		i.Unhandled += a.unhandled
		pending = max(pending, a.own.Load())
		if a.debt != none {
			i.Overdue = append(i.Overdue, a.conn.shown())
		}
	}
	i.Masked = all || c.hard
	if c.fans() {
		i.Taken += c.arrived - min(c.arrived, pending)
		i.Arrived += pending
		return
	}
	_, taken := c.actions[0].counts()
	i.Taken += taken
}

// listed is how many vectors List looks at in one go.
const listed = 32

// List iterates over the vectors of a source ("" = of all) in order, from after on, without a lock held between steps.
func (r *Registry) List(source string, after Vector) iter.Seq[Info] {
	return func(yield func(Info) bool) {
		for {
			infos := r.page(source, after)
			for _, i := range infos {
				if after = i.Vector; !yield(i) {
					return
				}
			}
			if len(infos) == 0 {
				return
			}
		}
	}
}

// page returns the next few vectors.
func (r *Registry) page(source string, after Vector) (infos []Info) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, _ := r.search(after.Source)
	if source != "" {
		first, _ = r.search(source)
	}
	for _, s := range r.sources[first:] {
		if source != "" && s.spec.Name != source {
			break
		}
		for _, g := range s.groups {
			for i := g.first(after); i < g.Count; i++ {
				if v := g.lines[i].Vector(); r.aliases[v] == nil { // else it is listed by its canonical name
					infos = append(infos, g.lines[i].info())
				}
				if len(infos) == listed {
					return infos
				}
			}
		}
	}
	return infos
}

// first returns the first index that comes after v.
func (g *group) first(v Vector) int {
	order := strings.Compare(g.source.spec.Name, v.Source)
	if order == 0 {
		order = strings.Compare(g.Type, v.Type)
	}
	switch {
	case order > 0:
		return 0
	case order == 0 && !v.IsZero():
		return v.Index + 1
	}
	return g.Count
}
