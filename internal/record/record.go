package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The sizes on the wire, in bytes. A Bell may also be empty.
const (
	Size     = 56
	AckSize  = 16
	BellSize = 8
)

// Flags of a Record.
const (
	Rang  = 1 << 0 // woken because in doubt, perhaps without an interrupt (rule 9)
	Level = 1 << 1 // the line stays masked until this delivery is acknowledged (rule 8)
)

// ErrMalformed: the bytes are not such a record.
var ErrMalformed = errors.New("malformed record")

// A Record is one delivery. When the reader was slow it stands for several: Count is their sum and
// Sequence the last one's.
type Record struct {
	Generation uint32 // the low half of the connection's generation
	Flags      uint32 // Rang, Level
	Sequence   uint64 // per connection and vector, from 1
	Count      uint64 // interrupts since the last record; 0 if it is only rung
	Time       int64  // CLOCK_MONOTONIC nanoseconds, 0 if unknown
	Lost       uint64 // dropped by the kernel before ivtd saw them
	Data       uint64 // GPIO: 1 rising, 2 falling
	Arrived    uint64 // all that this connection was told of on this vector, with this record
}

// Append appends the 56 bytes of r to b.
func (r Record) Append(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, r.Generation)
	b = le.AppendUint32(b, r.Flags)
	b = le.AppendUint64(b, r.Sequence)
	b = le.AppendUint64(b, r.Count)
	b = le.AppendUint64(b, uint64(r.Time))
	b = le.AppendUint64(b, r.Lost)
	b = le.AppendUint64(b, r.Data)
	return le.AppendUint64(b, r.Arrived)
}

// Decode reads one record. Anything but 56 bytes is ErrMalformed; unknown flags are kept.
func Decode(b []byte) (Record, error) {
	if len(b) != Size {
		return Record{}, fmt.Errorf("%w: %d bytes where an interrupt has %d", ErrMalformed, len(b), Size)
	}
	le := binary.LittleEndian
	return Record{
		Generation: le.Uint32(b[0:]), Flags: le.Uint32(b[4:]), Sequence: le.Uint64(b[8:]), Count: le.Uint64(b[16:]),
		Time: int64(le.Uint64(b[24:])), Lost: le.Uint64(b[32:]), Data: le.Uint64(b[40:]), Arrived: le.Uint64(b[48:]),
	}, nil
}

// Merge returns the record that stands for r and the later one s.
func (r Record) Merge(s Record) Record {
	s.Count = add(r.Count, s.Count)
	s.Lost = add(r.Lost, s.Lost)
	s.Flags |= r.Flags
	return s
}

// The verdicts of an Ack.
const (
	Handled   = 0
	Unhandled = 1
)

// An Ack acknowledges a delivery, and all before it.
type Ack struct {
	Generation uint32
	Verdict    uint32 // Handled or Unhandled
	Sequence   uint64
}

// Append appends the 16 bytes of a to b.
func (a Ack) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, a.Generation)
	b = binary.LittleEndian.AppendUint32(b, a.Verdict)
	return binary.LittleEndian.AppendUint64(b, a.Sequence)
}

// DecodeAck reads one acknowledgement. Anything but 16 bytes, and an unknown verdict, is ErrMalformed.
func DecodeAck(b []byte) (Ack, error) {
	if len(b) != AckSize {
		return Ack{}, fmt.Errorf("%w: %d bytes where an acknowledgement has %d", ErrMalformed, len(b), AckSize)
	}
	le := binary.LittleEndian
	a := Ack{Generation: le.Uint32(b[0:]), Verdict: le.Uint32(b[4:]), Sequence: le.Uint64(b[8:])}
	if a.Verdict > Unhandled {
		return Ack{}, fmt.Errorf("%w: there is no verdict %d", ErrMalformed, a.Verdict)
	}
	return a, nil
}

// AppendBell appends a doorbell record that rings count times.
func AppendBell(b []byte, count uint64) []byte { return binary.LittleEndian.AppendUint64(b, count) }

// MaxBell is the most that one doorbell record counts; a larger count means this one.
const MaxBell = math.MaxUint32

// DecodeBell reads how often a doorbell record rings: an empty one once. 0 rings and other sizes are ErrMalformed.
func DecodeBell(b []byte) (count uint64, err error) {
	switch len(b) {
	case 0:
		return 1, nil
	case BellSize:
		if count = binary.LittleEndian.Uint64(b); count > 0 {
			return min(count, MaxBell), nil
		}
		return 0, fmt.Errorf("%w: a doorbell that rings 0 times", ErrMalformed)
	}
	return 0, fmt.Errorf("%w: %d bytes where a doorbell has 0 or %d", ErrMalformed, len(b), BellSize)
}

// add adds without wrapping.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
