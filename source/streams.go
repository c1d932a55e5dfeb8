//go:build linux

package source

import (
	"fmt"
	"strings"
	"sync"

	"github.com/ivtd/ivt/internal/bury"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// Streams are the streams of one source: what a source has that reads its interrupts itself and passes them on. Its Wiring
// is then made of theirs: each claim gets a socket of its own, where the interrupts that the source gives to irq.Line.Raise
// become records, and acknowledgements come back.
//
// Its methods may be called from any goroutine, for one claim in sequence.
type Streams struct {
	relay *relay
	ack   Ack
	keep  Keep

	mu   sync.Mutex
	open map[claimKey]*stream
	kept map[string]Kept // what a former process kept and nobody has adopted yet
}

// claimKey names a claim: generations count within a connection.
type claimKey struct {
	vector     irq.Vector
	connection string
	generation uint64
}

func keyOf(c irq.Claim) claimKey { return claimKey{c.Vector, c.Connection, c.Generation} }

// String is the key of a stream in a Keep.
func (k claimKey) String() string {
	return fmt.Sprintf("stream/%s/%d/%s/%d", k.vector.Type, k.vector.Index, k.connection, k.generation)
}

// NewStreams returns the streams of a source that is opened with c, with those that c.Keep has from a former process. Close
// ends their use.
func NewStreams(c Config) (*Streams, error) {
	c = c.complete()
	r, err := useRelay()
	if err != nil {
		return nil, fmt.Errorf("open %s: start the relay: %w", c.Name, err)
	}
	kept := c.Keep.All()
	if kept == nil {
		kept = map[string]Kept{}
	}
	return &Streams{relay: r, ack: c.Ack, keep: c.Keep, open: make(map[claimKey]*stream, len(kept)), kept: kept}, nil
}

// Wire opens the stream of a claim and returns its handler.
func (s *Streams) Wire(c irq.Claim, level bool) (irq.Handler, error) {
	st, err := newStream(s.relay, c, level, s.ack)
	if err != nil {
		return nil, fmt.Errorf("open a stream for %s: %w", c.Vector, err)
	}
	var value []byte
	if st.in.refuses {
		value = []byte(keptRefuses)
	}
	if err := s.keep.Put(keyOf(c).String(), value, st.in.fd, st.theirs); err != nil {
		st.close()
		return nil, fmt.Errorf("keep the stream of %s: %w", c.Vector, err)
	}
	st.from(0, s.keep, keyOf(c).String())
	return s.hold(c, st), nil
}

// keptRefuses is the value of a stream whose inlet refuses descriptors: the socket goes on doing so, and need not be told again.
const keptRefuses = "refuses"

// Adopt takes over the stream that a former process had opened for a claim.
func (s *Streams) Adopt(c irq.Claim, level bool) (irq.Handler, error) {
	key := keyOf(c).String()
	kept, ok := s.take(key)
	if !ok || len(kept.FDs) != 2 {
		closeAll(kept.FDs)
		return nil, &irq.Error{Code: irq.ErrNotConnected, Operation: "adopt", Vector: c.Vector, Reason: irq.ReasonClosed,
			Detail: "its stream was not kept across the restart", Remedies: []string{"connect again"}}
	}
	in := inlet{fd: kept.FDs[0], speaks: true, refuses: string(kept.Value) == keptRefuses}
	if !in.refuses {
		if err := in.prepare(); err != nil {
			closeAll(kept.FDs)
			return nil, fmt.Errorf("adopt the stream of %s: %w", c.Vector, err)
		}
	}
	st, err := startStream(s.relay, c, level, s.ack, in, kept.FDs[1])
	if err != nil {
		return nil, fmt.Errorf("adopt the stream of %s: %w", c.Vector, err)
	}
	st.from(kept.Count, s.keep, key)
	return s.hold(c, st), nil
}

func (s *Streams) hold(c irq.Claim, st *stream) irq.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[keyOf(c)] = st
	return st.deliver
}

// take removes and returns what was kept under key.
func (s *Streams) take(key string) (Kept, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.kept[key]
	delete(s.kept, key)
	return kept, ok
}

// instance returns the instance of a source whose descriptors do not tell: the kept one, if it is of the same
// identity, else what the caller says or a new one.
func (s *Streams) instance(c Config, identity string) (string, error) {
	kept, ok := s.take(instanceKey)
	closeAll(kept.FDs)
	if was, instance, found := strings.Cut(string(kept.Value), "\n"); ok && found && was == identity {
		return instance, nil
	}
	c = c.complete()
	return c.Instance, s.keep.Put(instanceKey, []byte(identity+"\n"+c.Instance))
}

const instanceKey = "instance"

// takeAll removes and returns all that was kept under keys that begin with prefix.
func (s *Streams) takeAll(prefix string) map[string]Kept {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]Kept{}
	for key, kept := range s.kept {
		if strings.HasPrefix(key, prefix) {
			found[key] = kept
			delete(s.kept, key)
		}
	}
	return found
}

// Settle ends the streams of claims that did not go on after a restart: the holder's end hangs up.
func (s *Streams) Settle() {
	for key, kept := range s.takeAll("stream/") {
		for _, fd := range kept.FDs {
			bury.Socket(fd)
		}
		s.keep.Drop(key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		s.kept = map[string]Kept{} // one that was emptied is as large as it ever was
	}
}

// Unwire ends the stream of a claim (rule 5). One that is not there has ended.
func (s *Streams) Unwire(c irq.Claim) {
	s.mu.Lock()
	st := s.open[keyOf(c)]
	delete(s.open, keyOf(c))
	s.mu.Unlock()
	if st != nil {
		st.close()
		s.keep.Drop(keyOf(c).String())
	}
}

// Descriptors returns what the holder of a claim gets.
func (s *Streams) Descriptors(c irq.Claim) (Descriptors, error) {
	s.mu.Lock()
	st := s.open[keyOf(c)]
	s.mu.Unlock()
	if st == nil {
		return Descriptors{}, notWired(c.Vector)
	}
	return st.descriptors()
}

// end returns the holder's end of a stream. It stays the stream's: whoever keeps Unwire from running may copy it.
func (s *Streams) end(c irq.Claim) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.open[keyOf(c)]; st != nil {
		return st.theirs, nil
	}
	return -1, notWired(c.Vector)
}

// Close ends whatever is left, and the use of the relay.
func (s *Streams) Close() {
	s.mu.Lock()
	open, kept := s.open, s.kept
	s.open, s.kept = map[claimKey]*stream{}, map[string]Kept{}
	s.mu.Unlock()
	for key, st := range open {
		st.close()
		s.keep.Drop(key.String())
	}
	for key, k := range kept {
		closeAll(k.FDs)
		s.keep.Drop(key)
	}
	s.keep.Drop(instanceKey)
	s.relay.release()
}

// notWired says that there is no such claim on v, or no longer.
func notWired(v irq.Vector) error {
	return &irq.Error{Code: irq.ErrNotConnected, Operation: "get descriptors", Vector: v, Reason: irq.ReasonStaleGeneration,
		Detail: "no such generation is wired", Remedies: []string{"connect again"}}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		kernel.Close(fd)
	}
}

// complete puts in what the caller left out.
func (c Config) complete() Config {
	if c.Keep == nil {
		c.Keep = noKeep{}
	}
	if c.Root == "" {
		c.Root = "/"
	}
	if c.Foreign == nil {
		c.Foreign = openersOf
	}
	if c.Instance == "" {
		c.Instance = newInstance()
	}
	return c
}

// noKeep keeps nothing.
type noKeep struct{}

func (noKeep) Put(string, []byte, ...int) error { return nil }
func (noKeep) Drop(string)                      {}
func (noKeep) All() map[string]Kept             { return nil }
