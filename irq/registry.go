package irq

import (
	"context"
	"iter"
	"time"
)

// A Trigger says how a vector signals. TriggerDefault in a request accepts what the vector has.
type Trigger string

// The triggers.
const (
	TriggerDefault Trigger = ""
	TriggerEdge    Trigger = "edge"
	TriggerLevel   Trigger = "level"
)

// State is the state of a vector.
type State string

// The states. A connecting vector (wiring under way) shows as connected, with its holder to be.
const (
	StateFree        State = "free"
	StateConnected   State = "connected"
	StateDraining    State = "draining"    // the former holder's handler, or its wiring, is still being taken down
	StateOrphaned    State = "orphaned"    // holder gone, grace running
	StateUnavailable State = "unavailable" // with Info.Reason and Info.Detail
)

// Delivery is how interrupts reach the holder.
type Delivery string

// The deliveries.
const (
	DeliveryHandler Delivery = "handler"
	DeliveryEventfd Delivery = "eventfd"
	DeliveryStream  Delivery = "stream"
)

// Config is what a registry is made with. The zero value of each field gives the default.
type Config struct {
	Clock       Clock         // default: the system's
	EventRing   int           // events kept for Watch and history; default 4096
	AckDeadline time.Duration // after it a sharer that keeps a level line masked is revoked (rule 8); default 10 s, negative: never
	Instance    string        // identity of this registry; default random
}

// A Clock tells the time and wakes; irqtest has one that the test drives.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// A Registry is the vector table. All methods may be called from any goroutine.
type Registry struct{}

// New returns an empty registry.
func New(c Config) *Registry { panic("todo") }

// Close releases everything and stops the registry's timers.
func (r *Registry) Close() { panic("todo") }

// Instance identifies the registry.
func (r *Registry) Instance() string { panic("todo") }

// A Group is a run of vectors of one type within a source: indexes 0 to Count-1.
type Group struct {
	Type      string // "" or "intx", "msi", "msix"
	Count     int
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
	Aliases    map[Vector]Vector // other names of vectors here, e.g. irq:36
	Wiring     Wiring            // nil: deliveries are in-process handlers only
	Protection string            // "kernel", "permissions", "agreement": how far the vectors are protected
}

// Wiring connects vectors of a source to the world outside the registry. The registry calls it without
// holding a lock, for one vector never twice at the same time (Wire, Unwire and SetMask of one vector are in sequence).
type Wiring interface {
	// Wire makes interrupts of c.Vector reach the connection c from now on. It returns the handler that
	// the registry runs when the source calls Line.Raise (stream deliveries: it sends the record and
	// returns Pending or Handled), or nil if the kernel delivers without us (eventfd).
	// Several vectors are wired one at a time; if one fails the registry unwires the others in reverse.
	Wire(ctx context.Context, c Claim) (Handler, error)
	// Unwire returns when nothing more is delivered to that claim: re-pointed to a sink, drained, shut down (rule 5).
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
}

// Attach adds a source with its vectors, all free. A name that is attached already is ErrAlreadyConnected,
// a malformed one ErrInvalidParameter.
func (r *Registry) Attach(spec SourceSpec) (*Source, error) { panic("todo") }

// Source returns an attached source, or nil.
func (r *Registry) Source(name string) *Source { panic("todo") }

// A Source is an attached source.
type Source struct{}

// Name and Instance identify the source.
func (s *Source) Name() string     { panic("todo") }
func (s *Source) Instance() string { panic("todo") }

// Line returns the vector to raise, or nil if there is none such. It stays valid after Detach (raising does nothing).
func (s *Source) Line(kind string, index int) *Line { panic("todo") }

// Detach removes the source. While connected it is ErrStillConnected (764) with the list, unless force:
// then every connection that has a vector here is revoked with ErrNotConnected (1167, ReasonSourceGone)
// and the call returns when all is unwired (rule 12).
func (s *Source) Detach(ctx context.Context, force bool) error { panic("todo") }

// SetUnavailable marks a vector as unavailable with reason and holders outside the registry (or available again with nil).
// Claims get the code that c carries.
func (s *Source) SetUnavailable(v Vector, c *Error) { panic("todo") }

// A Line is one vector as its raiser sees it.
type Line struct{}

// Raise signals an interrupt: to the handlers on an unmasked vector, else it is pending (edge: at least one delivery later; arrivals are counted).
// It takes no lock and allocates nothing on an exclusive edge vector.
func (l *Line) Raise() { panic("todo") }

// RaiseInterrupt is Raise for a source that knows more: how many, when, what was lost before (GPIO, doorbell batches).
func (l *Line) RaiseInterrupt(i Interrupt) { panic("todo") }

// SetLevel asserts or deasserts a level line of an emulated device: while asserted, unmasked and acknowledged it fires again.
func (l *Line) SetLevel(asserted bool) { panic("todo") }

// Vector returns the canonical name.
func (l *Line) Vector() Vector { panic("todo") }

// An Interrupt is one delivery.
type Interrupt struct {
	Slot     int    // which vector of the request, 0 for the first
	Sequence uint64 // per connection and vector, from 1, without gaps
	Count    uint64 // interrupts since the last delivery, 0 if it is only rung (rule 9)
	Time     int64  // CLOCK_MONOTONIC nanoseconds from the kernel, 0 if unknown
	Lost     uint64 // dropped by the kernel before ivt saw them
	Data     uint64 // source specific (GPIO: 1 rising, 2 falling)
	Rang     bool   // delivered because in doubt, perhaps without an interrupt
}

// A Handler runs for each interrupt, never twice at the same time for one vector of one connection.
type Handler func(Interrupt) Verdict

// A Verdict is what the handler made of it.
type Verdict uint8

// The verdicts.
const (
	Handled   Verdict = iota // acknowledged and productive
	Unhandled                // acknowledged, not mine (counts towards a storm, rule 11)
	Pending                  // will be acknowledged by Connection.Ack; a level line stays masked until then
	Done                     // acknowledged; disconnect this connection (rule 5)
)

// A Request asks for vectors.
type Request struct {
	Vectors   []Vector // all or none
	Any       *Any     // instead of Vectors: any free ones
	Shared    bool     // consent to share (rule 2)
	Trigger   Trigger
	Access    Access        // default AccessIRQ
	Consent   bool          // with AccessDevice: irq grants beside it are allowed
	Holder    Holder        // default: this process
	Handler   Handler       // in-process delivery; ignored when the source has a Wiring
	Wait      bool          // queue until free; the deadline is the context's (ErrTimeout, ErrCancelled)
	Grace     time.Duration // after the holder's death the vectors are kept for a Resume
	DryRun    bool          // check everything, change nothing; Connect returns (nil, nil) if it would succeed now
	Operation string        // for errors; default "connect"
	Gate      Gate          // visibility and policy; nil allows all. Asked again when a waiter is granted
	// OnNotice tells of a coming or done end: revocation with deadline, source leaving, end. Called without a lock, in order. Optional.
	OnNotice func(Notice)
}

// Any asks for any Count free vectors of a source, lowest index first.
type Any struct {
	Source string
	Type   string // "" = the only or preferred type
	Count  int
}

// A Gate is who may see and have what (rule 3: visibility, then policy, then conflict). It is called
// with the registry locked: it must be quick and must not call back.
type Gate interface {
	Visible(v Vector) bool // false: answered as if the source were not there (433)
	// Allow returns the account that the vector counts against and its quota (0: none), or a refusal (ErrAccessDenied).
	Allow(v Vector, r *Request) (account string, quota int, err error)
}

// A Notice tells a holder of the end of its connection.
type Notice struct {
	Connection string
	Generation uint64
	Reason     Reason    // ReasonRevoked, ReasonSourceGone, ReasonClosed, …
	Deadline   time.Time // zero: it is over now
	Err        *Error    // set when over
}

// Connect claims the vectors of the request, all or none (rules 1, 2, 3, 10).
// Errors: every code. The context ends a wait and bounds the wiring.
func (r *Registry) Connect(ctx context.Context, q Request) (*Connection, error) { panic("todo") }

// Connection returns a live (or orphaned) connection by id, or ErrNotConnected.
func (r *Registry) Connection(id string) (*Connection, error) { panic("todo") }

// Connections iterates over all connections, oldest first, without holding the lock between steps.
func (r *Registry) Connections() iter.Seq[*Connection] { panic("todo") }

// A Connection is a claim that was granted.
type Connection struct{}

// ID is a name, not a key: knowing it authorises nothing (rule 7).
func (c *Connection) ID() string         { panic("todo") }
func (c *Connection) Generation() uint64 { panic("todo") }
func (c *Connection) Vectors() []Vector  { panic("todo") }
func (c *Connection) Holder() Holder     { panic("todo") }

// Done is closed when the connection is over; Err then says why (ErrNotConnected with its reason).
func (c *Connection) Done() <-chan struct{} { panic("todo") }
func (c *Connection) Err() error            { panic("todo") }

// Disconnect ends the connection. When it returns, nothing more is delivered and the handler neither runs nor will (rule 5).
// From inside the connection's own handler it returns at once and takes effect when the handler returns.
// A second call, or another generation, is ErrNotConnected. The context bounds only the waiting.
func (c *Connection) Disconnect(ctx context.Context) error { panic("todo") }

// Ack acknowledges delivery sequence of vector slot; handled false counts towards a storm. A stale generation
// is ErrNotConnected (ReasonStaleGeneration) and touches nothing (rule 7). An old or repeated sequence does nothing.
func (c *Connection) Ack(generation uint64, slot int, sequence uint64, handled bool) error {
	panic("todo")
}

// Mask and Unmask: interrupts that arrive while masked are pending. ErrNotSupported where the vector cannot be masked.
func (c *Connection) Mask(generation uint64, v Vector) error   { panic("todo") }
func (c *Connection) Unmask(generation uint64, v Vector) error { panic("todo") }

// SetSuccessor names the process (0: none) that goes first when the connection ends (rule 10).
func (c *Connection) SetSuccessor(generation uint64, pid int) error { panic("todo") }

// HolderDied tells that the holder's process is gone: with a grace the vectors become orphaned, else they are released (rule 6).
func (c *Connection) HolderDied() { panic("todo") }

// Resume hands an orphaned connection to its restarted holder as a new generation, rewired and rung.
func (c *Connection) Resume(ctx context.Context, h Holder) error { panic("todo") }

// Revoke takes the connection away after grace (at once if 0); the holder is told by OnNotice.
func (c *Connection) Revoke(ctx context.Context, grace time.Duration, why string) error {
	panic("todo")
}

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
	Waiting    int
	Arrived    uint64 // counted by the registry; meaningless for eventfd (Counted false)
	Taken      uint64
	Unhandled  uint64
	Counted    bool
	Overdue    []Holder // who keeps a level line masked
	Storm      bool
	Reason     Reason
	Detail     string
}

// Lookup returns what is known of one vector (alias or canonical): ErrNoSuchDevice, ErrInvalidParameter.
func (r *Registry) Lookup(v Vector) (Info, error) { panic("todo") }

// List iterates over the vectors of a source ("" = of all) in order, from after on, without a lock held between steps.
func (r *Registry) List(source string, after Vector) iter.Seq[Info] { panic("todo") }

// Stats are totals, for metrics and Status.
type Stats struct {
	Sources, Vectors, Connections, Orphans, Waiting int
	Refusals                                        map[Code]uint64
	Storms, Rang, Lost, Overdue                     uint64
	Sequence                                        uint64
}

// Stats returns the totals.
func (r *Registry) Stats() Stats { panic("todo") }

// EventKind says what happened.
type EventKind string

// The kinds.
const (
	EventAdded, EventRemoved            EventKind = "added", "removed" // a source
	EventConnected, EventDisconnected   EventKind = "connected", "disconnected"
	EventRefused                        EventKind = "refused"
	EventOrphaned, EventResumed         EventKind = "orphaned", "resumed"
	EventRevoked, EventParked           EventKind = "revoked", "parked"
	EventMasked, EventUnmasked          EventKind = "masked", "unmasked"
	EventStorm, EventStalled, EventLost EventKind = "storm", "stalled", "lost"
	EventRang, EventChanged             EventKind = "rang", "changed"
)

// An Event is one line of history (rule 13).
type Event struct {
	Sequence uint64
	Time     time.Time
	Kind     EventKind
	Vector   Vector // or Source
	Source   string
	Holder   *Holder // whom it is about
	Refused  *Error  // EventRefused: the refusal, with those who hold
	Reason   Reason
	Detail   string
}

// Emit adds an event of the caller's (a source noticed a loss, the daemon adopted).
func (r *Registry) Emit(e Event) { panic("todo") }

// Watch reads events with a sequence number greater than since from the ring (0: from now on).
func (r *Registry) Watch(since uint64) *Watcher { panic("todo") }

// A Watcher never slows the registry: a slow one misses events and is told how many.
type Watcher struct{}

// Next returns the next event; lost is how many before it fell out of the ring. It waits, or returns the context's error.
func (w *Watcher) Next(ctx context.Context) (e Event, lost uint64, err error) { panic("todo") }

// Close ends the watching.
func (w *Watcher) Close() { panic("todo") }
