package ivt

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
)

// A slot is one vector while it is waited for.
type slot struct {
	line
	number   int
	sequence uint64 // of eventfds, which have none of their own
	arrived  uint64
}

// room is how many bytes an interrupt has: too much room, so that a longer one is noticed.
const room = 64

// decode makes an interrupt of what was read.
func (s *slot) decode(b []byte) (Interrupt, error) {
	if len(b) == 0 {
		return Interrupt{}, io.EOF
	}
	if s.delivery == irq.DeliveryEventfd {
		if len(b) != 8 {
			return Interrupt{}, fmt.Errorf("%s: %d bytes from an eventfd", s.vector, len(b))
		}
		return s.counted(binary.NativeEndian.Uint64(b)), nil
	}
	r, err := record.Decode(b)
	if err != nil {
		return Interrupt{}, fmt.Errorf("%s: %w", s.vector, err)
	}
	return Interrupt{
		irq.Interrupt{Slot: s.number, Sequence: r.Sequence, Count: r.Count, Time: r.Time, Lost: r.Lost, Data: r.Data, Rang: r.Flags&record.Rang != 0},
		s.vector, r.Arrived, r.Flags&record.Level != 0,
	}, nil
}

// counted is an interrupt of an eventfd.
func (s *slot) counted(count uint64) Interrupt {
	s.sequence++
	s.arrived += count
	return Interrupt{irq.Interrupt{Slot: s.number, Sequence: s.sequence, Count: count}, s.vector, s.arrived, s.unmask >= 0}
}

// acknowledgement is the record that acknowledges i.
func acknowledgement(generation uint64, i Interrupt, handled bool) record.Ack {
	a := record.Ack{Generation: uint32(generation), Sequence: i.Sequence, Verdict: record.Handled}
	if !handled {
		a.Verdict = record.Unhandled
	}
	return a
}

// unmaskLine tells the kernel that a level line was handled.
func (s *slot) unmaskLine() error {
	if s.unmask < 0 {
		return nil
	}
	return kernel.WriteEventfd(s.unmask, 1)
}

// closeLine closes both descriptors.
func (s *slot) closeLine() {
	kernel.Close(s.fd)
	if s.unmask >= 0 {
		kernel.Close(s.unmask)
	}
}
