package record

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRecordOnTheWire(t *testing.T) {
	r := Record{Generation: 1, Flags: Rang | Level, Sequence: 2, Count: 3, Time: -4, Lost: 5, Data: 6, Arrived: 7}
	b := r.Append(nil)
	if len(b) != Size {
		t.Fatalf("%d bytes, want %d", len(b), Size)
	}
	le := binary.LittleEndian // the places that io.ivtd.interrupts promises
	got := []uint64{uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:]), le.Uint64(b[40:]), le.Uint64(b[48:])}
	if d := cmp.Diff([]uint64{1, 3, 2, 3, math.MaxUint64 - 3, 5, 6, 7}, got); d != "" {
		t.Error(d)
	}
	if back, err := Decode(b); err != nil || back != r {
		t.Errorf("read back %+v, %v", back, err)
	}
}

func TestMergeAddsUp(t *testing.T) {
	first := Record{Generation: 1, Flags: Rang, Sequence: 1, Count: 2, Time: 10, Lost: 1, Data: 1, Arrived: 2}
	second := Record{Generation: 1, Sequence: 2, Count: 3, Time: 20, Lost: 4, Data: 2, Arrived: 5}
	want := Record{Generation: 1, Flags: Rang, Sequence: 2, Count: 5, Time: 20, Lost: 5, Data: 2, Arrived: 5}
	if d := cmp.Diff(want, first.Merge(second)); d != "" {
		t.Error(d)
	}
	if m := (Record{Count: math.MaxUint64}).Merge(Record{Count: 2}); m.Count != math.MaxUint64 {
		t.Errorf("the sum wrapped to %d", m.Count)
	}
}

func TestDecodeBell(t *testing.T) {
	for _, test := range []struct {
		name  string
		bytes []byte
		count uint64
		err   error
	}{
		{"an empty record rings once", nil, 1, nil},
		{"a count rings so often", AppendBell(nil, 7), 7, nil},
		{"more than can be is bounded", AppendBell(nil, math.MaxUint64), MaxBell, nil},
		{"zero rings nothing", AppendBell(nil, 0), 0, ErrMalformed},
		{"four bytes are no count", []byte{1, 0, 0, 0}, 0, ErrMalformed},
		{"nine bytes are no count", make([]byte, 9), 0, ErrMalformed},
	} {
		if n, err := DecodeBell(test.bytes); n != test.count || !errors.Is(err, test.err) {
			t.Errorf("%s: got %d, %v", test.name, n, err)
		}
	}
}

func TestDecodeAck(t *testing.T) {
	good := Ack{Generation: 9, Verdict: Unhandled, Sequence: 1 << 40}
	if a, err := DecodeAck(good.Append(nil)); a != good || err != nil {
		t.Errorf("got %+v, %v", a, err)
	}
	for _, b := range [][]byte{nil, make([]byte, AckSize-1), make([]byte, AckSize+1), Ack{Verdict: 2}.Append(nil)} {
		if _, err := DecodeAck(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

// Whatever comes in is read back the same or refused.
func FuzzDecode(f *testing.F) {
	f.Add(Record{Count: 1}.Append(nil))
	f.Add(Ack{Sequence: 1}.Append(nil))
	f.Add(AppendBell(nil, 1))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Decode(b); err == nil && string(r.Append(nil)) != string(b) {
			t.Errorf("record %x read as %+v", b, r)
		}
		if a, err := DecodeAck(b); err == nil && string(a.Append(nil)) != string(b) {
			t.Errorf("acknowledgement %x read as %+v", b, a)
		}
		if n, err := DecodeBell(b); err == nil && (n == 0 || n > MaxBell) {
			t.Errorf("doorbell %x rings %d times", b, n)
		}
	})
}
