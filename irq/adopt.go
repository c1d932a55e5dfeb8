package irq

import (
	"strconv"
	"strings"
	"time"
)

// A Record is what must be known of a connection to take it over after a restart (rule 14).
type Record struct {
	Connection string         `json:"connection"`
	Generation uint64         `json:"generation"`
	Holder     Holder         `json:"holder"`
	Shared     bool           `json:"shared,omitempty"`
	Access     Access         `json:"access"`
	Consent    bool           `json:"consent,omitempty"`
	Grace      time.Duration  `json:"grace,omitempty"`
	Successor  int            `json:"successor,omitempty"`
	GraceEnds  time.Time      `json:"graceEnds,omitzero"` // it is orphaned, until then
	Vectors    []VectorRecord `json:"vectors"`
}

// A VectorRecord is one vector of a Record, in the order of the request.
type VectorRecord struct {
	Vector   Vector `json:"vector"`
	Account  string `json:"account,omitempty"`
	Masked   bool   `json:"masked,omitempty"`
	Sequence uint64 `json:"sequence,omitempty"` // of the last delivery
	Step     uint8  `json:"step,omitempty"`     // of the back-off after storms
}

// Record returns what Adopt needs. It is of the moment: sequences go on.
func (c *Connection) Record() Record {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	rec := Record{
		Connection: c.id, Generation: c.generation, Holder: c.Holder(), Shared: c.shared, Access: c.access, Consent: c.consent,
		Grace: c.grace, Successor: c.successor, Vectors: make([]VectorRecord, len(c.actions)),
	}
	if c.state == orphaned || c.state == orphaning {
		rec.GraceEnds = c.until
	}
	for i, a := range c.actions {
		v := VectorRecord{Vector: a.line.Vector(), Account: a.account, Masked: a.word.Load()&masked != 0}
		v.Sequence, _ = a.counts()
		a.chain.mu.Lock()
		v.Step = a.storm.step
		a.chain.mu.Unlock()
		rec.Vectors[i] = v
	}
	return rec
}

// An AdoptSpec is a connection that a former registry had granted.
type AdoptSpec struct {
	Record
	// Wire takes over one vector as it is wired, in place of Wiring.Wire: what it returns is the same, and
	// nothing is to be re-issued. Not called if the connection is orphaned. Nil: Handler is called.
	Wire     func(Claim) (Handler, error)
	Handler  Handler
	OnNotice func(Notice)
}

// Adopt makes a connection as the record has it, without asking a Gate or the Wiring, and rings its
// vectors (rules 9 and 14). An orphaned one goes on being orphaned until its grace ends. The serial
// numbers of connections go on after the highest adopted.
//
// Errors: ErrAlreadyConnected if a vector or the id is taken, ErrNoSuchDevice and ErrInvalidParameter if
// a vector is not there, and what Wire returns; then nothing has changed.
func (r *Registry) Adopt(spec AdoptSpec) (*Connection, error) {
	takeOver, err := r.Readmit(spec)
	if err != nil {
		return nil, err
	}
	c, err := takeOver()
	if err == nil {
		c.Ring()
	}
	return c, err
}

// Readmit is the first of the three steps of Adopt, for who adopts thousands while nobody is served: it checks and reserves, so
// that of two records that exclude each other the first has what it names. takeOver is the second: it wires, and those of several
// connections may run beside each other. The third is Connection.Ring, which can wait until holders are served again. Two records
// must not have one id.
func (r *Registry) Readmit(spec AdoptSpec) (takeOver func() (*Connection, error), err error) {
	q := spec.request()
	if err := q.malformed(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	c, refusal := r.readmit(&q, spec)
	r.mu.Unlock()
	if refusal != nil {
		return nil, refusal
	}
	ends, how := spec.GraceEnds, spec.wirer()
	return func() (*Connection, error) {
		if err := c.takeOver(ends, how); err != nil {
			return nil, err
		}
		return c, nil
	}, nil
}

// Ring wakes the holder of every vector once more (rule 9). An orphaned connection, and one that is over, has nobody to wake.
func (c *Connection) Ring() {
	r := c.r
	r.mu.Lock()
	if c.state != connected {
		r.mu.Unlock()
		return
	}
	for _, a := range c.actions {
		r.record(EventRang, a, "", "")
	}
	ring := c.ringing(c.actions)
	r.mu.Unlock()
	ring()
}

func (spec AdoptSpec) request() Request {
	q := Request{Operation: "adopt", Shared: spec.Shared, Access: spec.Access, Consent: spec.Consent, Holder: spec.Holder,
		Grace: spec.Grace, OnNotice: spec.OnNotice, Handler: spec.Handler}
	for _, v := range spec.Vectors {
		q.Vectors = append(q.Vectors, v.Vector)
	}
	q.complete()
	return q
}

// wirer holds nothing else of the spec: of thousands that would be much.
func (spec AdoptSpec) wirer() wirer {
	wire, handler := spec.Wire, spec.Handler
	return func(a *action) (Handler, error) {
		if wire == nil {
			return handler, nil
		}
		return wire(a.claim())
	}
}

// readmit checks and reserves. Locked.
func (r *Registry) readmit(q *Request, spec AdoptSpec) (*Connection, *Error) {
	if r.conns[spec.Connection] != nil {
		return nil, &Error{Code: ErrAlreadyConnected, Operation: q.Operation, Name: spec.Connection, Reason: ReasonHeld, Detail: "a connection of that name exists"}
	}
	if r.closed {
		return nil, closedError("registry")
	}
	p := plan{accounts: make([]string, len(spec.Vectors))}
	var err *Error
	if p.lines, err = r.find(q); err != nil {
		return nil, err
	}
	if _, err = taken(q, p.lines, 0); err != nil {
		return nil, err
	}
	for i, v := range spec.Vectors {
		p.accounts[i] = v.Account
	}
	serial := r.serial
	c := r.reserve(q, p)
	r.serial = max(serial, serialOf(spec.Connection))
	c.id, c.generation, c.successor = spec.Connection, max(spec.Generation, 1), spec.Successor
	*c.holder.Load() = spec.Holder // nobody has seen it yet
	for i, a := range c.actions {
		v := spec.Vectors[i]
		a.given.Store(v.Sequence)
		a.owed, a.storm.step = v.Sequence, min(v.Step, stormMaxStep)
		if v.Masked {
			a.word.Or(masked)
		}
		if v.Step > 0 {
			a.word.Or(careful)
		}
		a.line.more.former = true
	}
	return c, nil
}

// serialOf is the number in an id, so that it is not given again; 0 if there is none.
func serialOf(id string) uint64 {
	digits, _ := strings.CutPrefix(id, "c")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// takeOver brings an adopted connection up.
func (c *Connection) takeOver(ends time.Time, how wirer) *Error {
	if ends.IsZero() {
		return c.establish("adopt", how, "")
	}
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	c.r.enroll(c)
	c.until = ends
	c.orphan()
	return nil
}

// Restore sets what a vector has counted: Arrived, Taken and Unhandled of i, and that somebody had it
// before, so that its next holder is rung. It is for the restart of a registry, before anything arrives.
func (s *Source) Restore(i Info) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if l, _ := s.r.resolve(i.Vector); l != nil && l.group.source == s {
		m := l.use()
		m.taken, m.unhandled, m.former = i.Taken, i.Unhandled, true
		l.late.Store(i.Arrived - min(i.Arrived, i.Taken))
	}
}
