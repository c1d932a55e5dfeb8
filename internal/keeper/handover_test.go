package keeper

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/kernel"
)

// TestTableThatIsNone: a keeper of another version hands over something else, and is named.
func TestTableThatIsNone(t *testing.T) {
	u32 := func(ns ...uint32) (b []byte) {
		for _, n := range ns {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
		return append(b, tableEnd...)
	}
	for _, c := range []struct {
		what    string
		content []byte
		want    map[int][]int
	}{
		{"nothing held", u32(), map[int][]int{}},
		{"two slots", u32(3, 2, 100, 101, 1, 1, 7), map[int][]int{3: {100, 101}, 1: {7}}},
		{"one byte", []byte("x"), nil},
		{"no end", u32()[1:], nil},
		{"cut off", u32(3, 2, 100), nil},
		{"half a number", u32(3, 2, 100, 101)[1:], nil},
		{"a slot alone", u32(3), nil},
		{"no such slot", u32(8, 1, 100), nil},
		{"too many for a slot", u32(3, 5, 1, 2, 3, 4, 5), nil},
		{"more than there are", u32(3, 0xffffffff, 100), nil},
		{"one slot twice", u32(3, 1, 100, 3, 1, 101), nil},
	} {
		fd, err := kernel.MemoryFileOf("table", c.content)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readTable(fd, 8)
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.want != nil) || err != nil && !errors.Is(err, errNoTable) {
			t.Errorf("%s: %v\n%s", c.what, err, diff)
		}
	}
	a, _ := pipe(t)
	if _, err := readTable(a, 8); !errors.Is(err, errNoTable) {
		t.Errorf("a socket: %v", err)
	}
}

func copies(t *testing.T, held map[int][]int) map[int][]int {
	t.Helper()
	copied := map[int][]int{}
	for slot, fds := range held {
		for _, fd := range fds {
			copied[slot] = append(copied[slot], must(t, kernel.Duplicate, fd))
		}
	}
	return copied
}
