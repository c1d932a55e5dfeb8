//go:build linux

package source

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// streamQueue is what may be unread by a holder before records coalesce: some 160 records.
const streamQueue = 64 << 10

// A stream brings the interrupts of one claim to its holder, as records on a SEQPACKET socket, and the
// holder's acknowledgements back.
//
// It never waits. While the holder's queue is full, deliveries add up in one record, which goes out when
// the holder has read (nothing is lost quietly, rule 9).
type stream struct {
	claimKey
	shared bool
	level  bool
	ack    Ack
	relay  *relay

	mu      sync.Mutex
	in      inlet
	theirs  int // the holder's end: copies of it are sent
	key     uint64
	slot    int
	last    uint64         // sequence of the latest delivery, as the holder counts
	told    *atomic.Uint64 // last, where it outlives this process
	before  uint64         // what a former process had delivered: the registry counts anew after it
	arrived *atomic.Uint64 // counted for this claim
	missed  *atomic.Uint64 // deliveries that were not the holder's
	waiting *record.Record // what did not fit into the queue, which is full; nil otherwise
	closed  bool
}

// newStream makes the socket of a claim and has the relay listen to its holder.
func newStream(r *relay, c irq.Claim, level bool, ack Ack) (*stream, error) {
	in, theirs, err := newInlet(streamQueue, true)
	if err != nil {
		return nil, err
	}
	return startStream(r, c, level, ack, in, theirs)
}

func startStream(r *relay, c irq.Claim, level bool, ack Ack, in inlet, theirs int) (*stream, error) {
	s := &stream{claimKey: keyOf(c), shared: c.Shared, level: level, ack: ack, relay: r, in: in, theirs: theirs, told: new(atomic.Uint64),
		arrived: new(atomic.Uint64), missed: new(atomic.Uint64)}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.key, err = r.add(in.fd, kernel.EventIn, s); err != nil {
		s.in.close()
		kernel.Close(theirs)
		return nil, err
	}
	return s, nil
}

// descriptors returns a copy of the holder's end.
func (s *stream) descriptors() (Descriptors, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Descriptors{}, notWired(s.vector)
	}
	d, err := Descriptors{Delivery: irq.DeliveryStream, FD: s.theirs, Unmask: -1, Device: -1, Container: -1}.copies()
	if err != nil {
		return d, fmt.Errorf("copy the stream of %s: %w", s.vector, err)
	}
	return d, nil
}

// deliver is the claim's irq.Handler. The registry calls it for one interrupt at a time.
func (s *stream) deliver(i irq.Interrupt) irq.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slot, s.last = i.Slot, s.before+i.Sequence
	s.told.Store(s.last)
	r := record.Record{Generation: uint32(s.generation), Sequence: s.last, Count: i.Count, Time: i.Time,
		Lost: i.Lost, Data: i.Data, Arrived: s.arrived.Add(i.Count)}
	if i.Rang {
		r.Flags |= record.Rang
	}
	if s.level {
		r.Flags |= record.Level
	}
	s.send(r)
	if s.level || !s.shared {
		return irq.Pending // whether it was the holder's own is not known before it says that it was not
	}
	return irq.Handled
}

// send queues r for the holder, or adds it to what waits.
func (s *stream) send(r record.Record) {
	switch {
	case s.closed:
	case s.waiting != nil:
		*s.waiting = s.waiting.Merge(r)
	case sendRecord(s.in.fd, r) == syscall.EAGAIN:
		kept := r // and not r itself, which would be on the heap with each delivery
		s.waiting = &kept
		s.listen()
	} // any other error: the holder has shut its socket down, and harmed itself
}

// sent are the buffers from which records are sent. Streams are many, and few send at once.
var sent = sync.Pool{New: func() any { return new([record.Size]byte) }}

func sendRecord(fd int, r record.Record) error {
	b := sent.Get().(*[record.Size]byte)
	defer sent.Put(b)
	return kernel.Send(fd, r.Append(b[:0]))
}

// listen tells the relay what the stream waits for.
func (s *stream) listen() {
	events := uint32(0)
	if !s.in.deaf {
		events |= kernel.EventIn
	}
	if s.waiting != nil {
		events |= kernel.EventOut
	}
	s.relay.epoll.Modify(s.in.fd, events, s.key) // ENOENT: hung up, and out for good
}

// ready reads acknowledgements and sends what waited.
func (s *stream) ready(b *kernel.Batch, events uint32) {
	var acks [batchLimit]record.Ack
	slot, n := s.service(b, events, &acks)
	claim := irq.Claim{Vector: s.vector, Connection: s.connection, Generation: s.generation, Shared: s.shared}
	for _, a := range acks[:n] {
		s.ack(claim, slot, a.Sequence, a.Verdict == record.Handled) // without our lock: it may deliver again
	}
}

func (s *stream) service(b *kernel.Batch, events uint32, acks *[batchLimit]record.Ack) (slot, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, 0
	}
	if events&(kernel.EventIn|kernel.EventHangup|kernel.EventError) != 0 {
		open := s.in.receive(b, func(data []byte) {
			if a, err := record.DecodeAck(data); err == nil && s.expects(a) {
				a.Sequence -= s.before
				if a.Verdict != record.Handled {
					s.missed.Add(1)
				}
				acks[n] = a
				n++
			}
		})
		if !open {
			s.listen() // the holder will acknowledge no more; it may go on reading
		}
	}
	if events&kernel.EventHangup != 0 {
		s.relay.remove(s.in.fd, s.key) // it would be reported for ever
		s.waiting = nil
	}
	if r := s.waiting; r != nil && events&kernel.EventOut != 0 {
		s.waiting = nil
		if s.send(*r); s.waiting == nil {
			s.listen()
		}
	}
	return s.slot, n
}

// from continues the counts of a former process, which the Keep has.
func (s *stream) from(before uint64, keep Keep, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.last, s.told = before, before, counterOf(keep, key)
	s.arrived, s.missed = tallyOf(keep, key, TallyArrived), tallyOf(keep, key, TallyUnhandled)
}

// expects reports whether a is for a delivery of this stream (rule 7): its own generation, nothing from the future.
func (s *stream) expects(a record.Ack) bool {
	return s.ack != nil && a.Generation == uint32(s.generation) && a.Sequence > s.before && a.Sequence <= s.last
}

// close ends the stream (rule 5): when it returns nothing is delivered any more, and what the holder had
// not read yet cannot be read by any copy of its end.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.relay.remove(s.in.fd, s.key)
	kernel.Shutdown(s.in.fd)
	for done := false; !done; {
		done, _ = kernel.Discard(s.theirs) // an error ends it too: there is nothing to take
	}
	kernel.Close(s.theirs)
	s.in.close()
}
