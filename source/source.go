package source

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ivtd/ivt/irq"
)

// A Scheme makes sources of one kind.
type Scheme interface {
	// Name is the scheme as it stands in names: "soft", "pci", "uio", "gpio".
	Name() string
	// Discover lists what could be opened here, whether policy names it or not; it opens nothing.
	Discover(ctx context.Context) ([]Found, error)
	// Open takes the device. Keep gets every descriptor that must outlive this process.
	// After a restart Open is called with what was kept: it takes that over instead of opening anew.
	Open(ctx context.Context, c Config) (Source, error)
}

// Found is a device that exists.
type Found struct {
	Name  string            // "pci:0000:3b:00.0"
	Path  string            // sysfs path, the stable attribute
	Attrs map[string]string // vendor, device, class, driver, name, …: what policy matches on
	Note  string            // why it could not be opened, empty if it could
}

// Config is what a source is opened with; it comes from the policy.
type Config struct {
	Name     string
	Instance string         // empty: that of what was kept, else a new one
	Settings map[string]any // what the policy says in [soft.NAME] or [[device]]: vectors, shareable, interrupts, budget, debounce, …
	Root     string         // "/" or a rooted tree, for what is read from /sys
	Keep     Keep           // nil: nothing outlives this process
	Ack      Ack            // nil: acknowledgements that holders send are dropped
	// Foreign finds the processes outside ivt that have a device file open, by its path (/dev/vfio/12),
	// so that EBUSY can name them. Default: those in /proc that may be looked into.
	Foreign func(path string) []irq.Holder
}

// An Ack is called for each acknowledgement that the holder of a claim sends on its stream: of delivery
// sequence of vector slot of the claim's connection. [Acknowledge] makes one for a registry.
type Ack func(c irq.Claim, slot int, sequence uint64, handled bool)

// Acknowledge returns the Ack that tells r. What comes too late, for a connection or generation that is
// over, changes nothing (rule 7).
func Acknowledge(r *irq.Registry) Ack {
	return func(c irq.Claim, slot int, sequence uint64, handled bool) {
		if connection, err := r.Connection(c.Connection); err == nil {
			connection.Ack(c.Generation, slot, sequence, handled) // a stale one is refused there; nobody waits for the answer
		}
	}
}

// A Source is an open device. It is the Wiring of its vectors.
type Source interface {
	irq.Wiring
	// Spec is what the registry attaches.
	Spec() irq.SourceSpec
	// Attached gives the source its lines to raise, once, before any Wire.
	Attached(s *irq.Source)
	// Descriptors returns what the holder of that claim gets (of c, Vector, Connection and Generation count), as
	// copies that are the caller's: it sends them and then calls their Close. (A number that stays the source's could
	// be closed, and name another file, while the caller still sends it: claims are revoked at any time.) What is
	// to be read is blocking; a client that wants otherwise sets O_NONBLOCK. After Unwire: irq.ErrNotConnected.
	Descriptors(c irq.Claim) (Descriptors, error)
	// Doorbell returns a copy of the raiser's half, which the caller sends and closes, or irq.ErrNotSupported. The same
	// raiser gets the same one for the same vector. It outlives the holder of v, and ends with its raiser's process.
	Doorbell(v irq.Vector, raiser irq.Holder) (fd int, err error)
	// Raise rings v once from inside: a doorbell, or a device vector's self-test through the kernel.
	Raise(v irq.Vector, count uint64) error
	// Adopt takes over a claim that a former process had wired, with what Keep has for it; nothing is re-issued.
	Adopt(c irq.Claim) (irq.Handler, error)
	// Gone is closed when the device is leaving or has left (unplugged, unbind requested).
	Gone() <-chan struct{}
	// Close lets the device go. Every claim has been unwired.
	Close() error
}

// A Settler is a Source with something to do after a restart: Settle is called once, when every claim that
// goes on has been adopted. What a former process had wired for others then ends.
type Settler interface {
	Settle() error
}

// A Checker is a Scheme that can judge settings without opening anything (ivtd --check-config).
// It returns what Open would say of them: irq.ErrInvalidParameter.
type Checker interface {
	Check(c Config) error
}

// An Unreader is a Source that knows how many interrupts the holder of a claim has not read yet, without
// reading them: of vectors that the kernel delivers, so that what arrived less this is what was taken (rule 9),
// and a holder that leaves them unread is seen (rule 11).
type Unreader interface {
	Unread(c irq.Claim) (uint64, error)
}

// Descriptors are what one claim is given: copies, which the caller closes when it has sent them.
type Descriptors struct {
	Delivery  irq.Delivery // DeliveryEventfd or DeliveryStream
	FD        int
	Unmask    int // -1 if none
	Device    int // -1 unless the grant is irq.AccessDevice
	Container int // -1 unless the grant is irq.AccessDevice
}

// Keep holds descriptors and small values beyond this process. Keys are of the source's own choice,
// prefixed by the caller with the source's name. A nil Keep keeps nothing.
type Keep interface {
	// Put stores copies of fds (at most four) and value (at most 256 bytes) under key, replacing what was there.
	Put(key string, value []byte, fds ...int) error
	// Drop forgets key.
	Drop(key string)
	// All returns what is kept, after a restart. The descriptors are the caller's.
	All() map[string]Kept
}

// A Prefixing Keep tells what it puts before every key, for what is kept about keys.
type Prefixing interface{ Prefix() string }

// A Counting Keep also has a number for each key, which changes without a call: where a source had got to in what it reads. It is
// nil if key is unknown, and valid until key is put anew or dropped.
type Counting interface {
	Counter(key string) *atomic.Uint64
}

// A Tallying Keep has more numbers for each key, from 0 to 7, of which the first is the Counter's.
type Tallying interface {
	Tally(key string, n int) *atomic.Uint64
}

// A Releasing Keep lets go of what is dropped a little later, and can say when: Released returns when all that was dropped
// before is closed.
type Releasing interface {
	Released()
}

// What a stream tallies of its claim.
const (
	TallySequence  = iota // of the last delivery
	TallyArrived          // interrupts in all deliveries
	TallyUnhandled        // deliveries that the holder said were not its own
)

// Kept is one entry of a Keep.
type Kept struct {
	Value []byte
	FDs   []int
	Count uint64 // of a Counting keep
}

var (
	mu      sync.Mutex
	schemes = map[string]Scheme{}
)

// Register makes a scheme known, from an init function. Two of one name are a mistake in the program.
func Register(s Scheme) {
	mu.Lock()
	defer mu.Unlock()
	if _, ok := schemes[s.Name()]; ok {
		panic(fmt.Sprintf("source: scheme %q registered twice", s.Name()))
	}
	schemes[s.Name()] = s
}

// Schemes returns all registered schemes by name, sorted.
func Schemes() []Scheme {
	mu.Lock()
	defer mu.Unlock()
	var all []Scheme
	for _, name := range slices.Sorted(maps.Keys(schemes)) {
		all = append(all, schemes[name])
	}
	return all
}

// Lookup returns the scheme of that name, or nil.
func Lookup(name string) Scheme {
	mu.Lock()
	defer mu.Unlock()
	return schemes[name]
}
