package irq

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
)

// A Trigger says how a vector signals. TriggerDefault in a request accepts what the vector has.
type Trigger string

// The triggers.
const (
	TriggerDefault Trigger = ""
	TriggerEdge    Trigger = "edge"
	TriggerLevel   Trigger = "level"
)

// Delivery is how interrupts reach the holder.
type Delivery string

// The deliveries.
const (
	DeliveryHandler Delivery = "handler"
	DeliveryEventfd Delivery = "eventfd"
	DeliveryStream  Delivery = "stream"
)

// A Group is a run of vectors of one type within a source: indexes 0 to Count-1.
type Group struct {
	Type      string  // "" or "intx", "msi", "msix"
	Count     int     // at least 1, at most MaxIndex+1
	Trigger   Trigger // default edge
	Shareable bool    // rule 2: a copy for each sharer is possible
	Maskable  bool
	Delivery  Delivery // shown; default handler
}

// A SourceSpec describes a source to attach.
type SourceSpec struct {
	Name       string // "soft:demo"
	Instance   string // changes when another device takes over the name; default random
	Groups     []Group
	OneType    bool              // one interrupt type at a time (VFIO): else 170
	Budget     int               // most vectors connected at once, 0 = all (ErrNoResources)
	Aliases    map[Vector]Vector // other names of vectors here, e.g. irq:36: alias to canonical name
	Wiring     Wiring            // nil: deliveries are in-process handlers only
	Protection string            // "kernel", "permissions", "agreement": how far the vectors are protected
}

// Wiring connects vectors of a source to the world outside the registry. The registry calls it without
// holding its lock, for one vector never twice at the same time (Wire, Unwire and SetMask of one vector
// are in sequence). Its methods must not call back for the same vector, and a source must not hold a
// lock that they need while it calls Line.Raise: SetMask may come from within that.
type Wiring interface {
	// Wire makes interrupts of c.Vector reach the connection c from now on. It returns the handler that
	// the registry runs when the source calls Line.Raise (stream deliveries: it sends the record and
	// returns Pending or Handled, and does not wait), or nil if the kernel delivers without us (eventfd).
	// Only a handler that came with a request may end connections; what Wire makes does not call back.
	// Several vectors are wired one at a time; if one fails the registry unwires the others in reverse.
	Wire(ctx context.Context, c Claim) (Handler, error)
	// Unwire returns when nothing more is delivered to that claim: re-pointed to a sink, drained, shut
	// down (rule 5). If it fails the vector becomes unavailable with that error.
	Unwire(c Claim) error
	// SetMask masks or unmasks the hardware line; for level lines unmask is called when all sharers have acknowledged (rule 8).
	SetMask(v Vector, masked bool) error
	// Ring wakes the present holder once (rule 9), through the kernel where it delivers.
	// It is called for kernel-delivered vectors only; for the others the registry runs the handler.
	Ring(v Vector) error
}

// A Claim is one vector of one generation of one connection, as Wiring sees it.
type Claim struct {
	Vector     Vector
	Connection string
	Generation uint64
	Holder     Holder
	Trigger    Trigger
	Shared     bool
	Access     Access
	First      bool // no other connection is on the vector now
	Line       *Line
	Handler    Handler // the request's, for a Wiring that delivers in process
}

// A Source is an attached source.
type Source struct {
	r    *Registry
	spec SourceSpec
	size int

	// Guarded by Registry.mu.
	groups  []*group            // by type
	held    int                 // vectors in use
	conns   map[*Connection]int // its vectors here
	device  *Connection         // has the whole device
	queue   queue               // who waits for something here that is no particular vector
	leaving bool                // forced detach under way
	gone    chan struct{}       // closed when detached
}

// A group is a Group with its vectors.
type group struct {
	Group
	source *Source
	lines  []Line
	free   bitmap // could be connected now
	used   bitmap // in use
	held   int
}

// Attach adds a source with its vectors, all free. A name that is attached already is ErrAlreadyConnected
// (ErrStillConnected while it is being detached), as is an alias that names another vector already;
// a malformed spec is ErrInvalidParameter.
func (r *Registry) Attach(spec SourceSpec) (*Source, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	s := newSource(r, spec)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, closedError("registry")
	}
	i, found := r.search(spec.Name)
	if found {
		return nil, attachedError(r.sources[i])
	}
	if err := r.checkAliases(spec); err != nil {
		return nil, err
	}
	r.sources = slices.Insert(r.sources, i, s)
	for alias, v := range spec.Aliases {
		l := s.line(v.Type, v.Index)
		r.aliases[alias] = l
		l.use().aliases = append(l.use().aliases, alias)
		slices.SortFunc(l.more.aliases, Vector.Compare)
	}
	r.add(Event{Kind: EventAdded, Source: spec.Name})
	return s, nil
}

func newSource(r *Registry, spec SourceSpec) *Source {
	if spec.Instance == "" {
		spec.Instance = rand.Text()
	}
	s := &Source{r: r, spec: spec, conns: map[*Connection]int{}, gone: make(chan struct{})}
	for _, g := range spec.Groups {
		if g.Trigger == TriggerDefault {
			g.Trigger = TriggerEdge
		}
		if g.Delivery == "" {
			g.Delivery = DeliveryHandler
		}
		gr := &group{Group: g, source: s, lines: make([]Line, g.Count), free: newBitmap(g.Count, true), used: newBitmap(g.Count, false)}
		for i := range gr.lines {
			gr.lines[i].group, gr.lines[i].index = gr, int32(i)
		}
		s.groups = append(s.groups, gr)
		s.size += g.Count
	}
	slices.SortFunc(s.groups, func(a, b *group) int { return strings.Compare(a.Type, b.Type) })
	return s
}

// search finds a source by name in r.sources. Locked.
func (r *Registry) search(name string) (int, bool) {
	return slices.BinarySearchFunc(r.sources, name, func(s *Source, name string) int { return strings.Compare(s.spec.Name, name) })
}

// Source returns an attached source, or nil.
func (r *Registry) Source(name string) *Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source(name)
}

func (r *Registry) source(name string) *Source {
	if i, ok := r.search(name); ok {
		return r.sources[i]
	}
	return nil
}

// Name returns the source's name, "soft:demo".
func (s *Source) Name() string { return s.spec.Name }

// Instance changes when another device takes over the name.
func (s *Source) Instance() string { return s.spec.Instance }

// Line returns the vector to raise, or nil if there is none such. It stays valid after Detach (raising does nothing).
func (s *Source) Line(kind string, index int) *Line { return s.line(kind, index) }

func (s *Source) line(kind string, index int) *Line {
	if g := s.group(kind); g != nil && index >= 0 && index < g.Count {
		return &g.lines[index]
	}
	return nil
}

func (s *Source) group(kind string) *group {
	for _, g := range s.groups {
		if g.Type == kind {
			return g
		}
	}
	return nil
}

// check reports what is malformed.
func (spec SourceSpec) check() error {
	if _, err := ParseSource(spec.Name); err != nil {
		return err
	}
	bad := func(detail string) error {
		return &Error{Code: ErrInvalidParameter, Operation: "attach", Name: spec.Name, Reason: ReasonMalformed, Detail: detail}
	}
	if len(spec.Groups) == 0 {
		return bad("it has no vectors")
	}
	types := map[string]bool{}
	for _, g := range spec.Groups {
		switch {
		case g.Count < 1 || g.Count > MaxIndex+1:
			return bad("a group has no vectors, or too many")
		case g.Type != "" && !isWord(g.Type):
			return bad("the interrupt type is not a word of lower-case letters and digits")
		case types[g.Type]:
			return bad("an interrupt type is there twice")
		case g.Trigger != TriggerDefault && g.Trigger != TriggerEdge && g.Trigger != TriggerLevel:
			return bad("there is no such trigger")
		case Vector{spec.Name, g.Type, g.Count - 1}.length() > MaxName:
			return bad("the names of its vectors are too long")
		}
		types[g.Type] = true
	}
	return nil
}

// checkAliases sees to it that two names never make two owners. Locked.
func (r *Registry) checkAliases(spec SourceSpec) error {
	for alias, v := range spec.Aliases {
		in := slices.ContainsFunc(spec.Groups, func(g Group) bool { return g.Type == v.Type && v.Index >= 0 && v.Index < g.Count })
		if v.Source != spec.Name || !in || alias.Source == spec.Name {
			return &Error{Code: ErrInvalidParameter, Operation: "attach", Vector: alias, Reason: ReasonMalformed, Detail: "it is no alias of a vector of " + spec.Name}
		}
		if !alias.valid() {
			return &Error{Code: ErrInvalidParameter, Operation: "attach", Name: alias.String(), Reason: ReasonMalformed, Detail: "the alias is malformed"}
		}
		other := r.aliases[alias]
		if s := r.source(alias.Source); other == nil && s != nil {
			if l := s.line(alias.Type, alias.Index); l != nil && l.more != nil && l.more.chain != nil {
				other = l
			}
		}
		if other != nil {
			return &Error{Code: ErrAlreadyConnected, Operation: "attach", Vector: alias, Reason: ReasonHeld, Detail: "the alias names " + other.Vector().String() + " already"}
		}
	}
	return nil
}

func attachedError(s *Source) *Error {
	if s.leaving {
		return &Error{Code: ErrStillConnected, Operation: "attach", Name: s.spec.Name, Reason: ReasonDraining, Detail: "the former source of that name is being detached"}
	}
	return &Error{Code: ErrAlreadyConnected, Operation: "attach", Name: s.spec.Name, Reason: ReasonHeld, Detail: "a source of that name is attached"}
}
