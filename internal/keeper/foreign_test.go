package keeper

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
)

// TestForeignMemoryIsRefused: another version, another boot, truncated, damaged, something else.
func TestForeignMemoryIsRefused(t *testing.T) {
	for _, c := range []struct {
		what   string
		damage func(m *Memory)
		boot   string
		size   int64
		want   string
	}{
		{what: "as it was", boot: "here"},
		{what: "another boot", boot: "there", want: "of another boot"},
		{what: "another layout", boot: "here", damage: func(m *Memory) { m.bytes[versionAt] = 99 }, want: "layout 99, this program knows 1"},
		{what: "no magic number", boot: "here", damage: func(m *Memory) { m.bytes[0] = 'x' }, want: "no magic number"},
		{what: "more slots than bytes", boot: "here", damage: func(m *Memory) { m.bytes[slotsAt+2] = 1 }, want: "do not fit"},
		{what: "truncated", boot: "here", size: headerSize + slotSize, want: "do not fit"},
		{what: "shorter than its header", boot: "here", size: 100, want: "100 bytes long"},
		{what: "empty", boot: "here", size: -1, want: "0 bytes long"},
	} {
		m, err := NewMemory(8, "i", "here")
		if err != nil {
			t.Fatal(err)
		}
		if c.damage != nil {
			c.damage(m)
		}
		fd := must(t, kernel.Duplicate, m.FD())
		if c.size != 0 {
			fd = shortened(t, m, max(c.size, 0))
		}
		opened, err := OpenMemory(fd, c.boot)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want == "":
			if opened.Instance() != "i" {
				t.Errorf("%s: instance %q", c.what, opened.Instance())
			}
		case !errors.Is(err, ErrForeignMemory) || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want …%s…", c.what, err, c.want)
		}
	}
}

// shortened is the memory's beginning in a file of its own: the memory itself is sealed.
func shortened(t *testing.T, m *Memory, size int64) int {
	t.Helper()
	fd, err := kernel.MemoryFile("short", size)
	if err != nil {
		t.Fatal(err)
	}
	if size > 0 {
		b, err := kernel.MapShared(fd, int(size))
		if err != nil {
			t.Fatal(err)
		}
		copy(b, m.bytes)
	}
	return fd
}

func must[A, B any](t *testing.T, f func(A) (B, error), a A) B {
	t.Helper()
	b, err := f(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A worker's Open is asked with what a store gave back: the test is the keeper.
func reopen(t *testing.T, m *Memory, held map[int][]int) (map[string]Entry, []string, *Store) {
	t.Helper()
	ours, theirs, err := kernel.ControlPair()
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{memory: m, held: held, control: ours}
	k.store = newStore("", nil)
	done := make(chan bool)
	go k.serve(done)
	s, kept, problems, err := Open(theirs, must(t, kernel.Duplicate, m.FD()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); <-done; kernel.Close(ours) })
	return kept, problems, s
}

// eventfd has a number in it, by which it is known again.
func eventfd(t *testing.T, n uint64) int {
	t.Helper()
	fd, err := kernel.Eventfd()
	if err == nil {
		err = kernel.WriteEventfd(fd, n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// pipe has inodes of its own, as sockets do; all eventfds have the same one.
func pipe(t *testing.T) (r, w int) {
	t.Helper()
	a, b, err := kernel.ControlPair()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

// TestStoreGivesBackSomethingElse: each slot is what was put, or is left out and named; the others do not suffer.
func TestStoreGivesBackSomethingElse(t *testing.T) {
	setup := func() (*Memory, map[int][]int) {
		m, err := NewMemory(16, "i", bootID())
		if err != nil {
			t.Fatal(err)
		}
		held := map[int][]int{}
		local := &Store{memory: m, control: -1, index: map[string]int{}}
		for n := range 4 {
			a, b := pipe(t)
			if err := local.Put(fmt.Sprintf("key%d", n), []byte{byte(n)}, a, b); err != nil {
				t.Fatal(err)
			}
			held[local.index[fmt.Sprintf("key%d", n)]] = []int{a, b}
		}
		return m, held
	}
	for _, c := range []struct {
		what     string
		change   func(m *Memory, held map[int][]int)
		lost     []string
		problems int
	}{
		{"everything", func(*Memory, map[int][]int) {}, nil, 0},
		{"too few", func(_ *Memory, held map[int][]int) { delete(held, 1) }, []string{"key1"}, 1},
		{"one of two", func(_ *Memory, held map[int][]int) { held[1] = held[1][:1] }, []string{"key1"}, 1},
		{"too many", func(_ *Memory, held map[int][]int) { held[9] = []int{eventfd(t, 1)} }, nil, 1},
		{"three of two", func(_ *Memory, held map[int][]int) { held[1] = append(held[1], eventfd(t, 1)) }, []string{"key1"}, 1},
		{"exchanged within a slot", func(_ *Memory, held map[int][]int) { slices.Reverse(held[2]) }, []string{"key2"}, 1},
		{"exchanged between slots", func(_ *Memory, held map[int][]int) { held[0], held[3] = held[3], held[0] }, []string{"key0", "key3"}, 2},
		{"one twice", func(_ *Memory, held map[int][]int) {
			held[2] = []int{must(t, kernel.Duplicate, held[0][0]), must(t, kernel.Duplicate, held[0][1])}
		}, []string{"key2"}, 1},
		{"not committed", func(m *Memory, _ map[int][]int) { m.slot(2).state().Store(slotIntent) }, []string{"key2"}, 0},
		{"an unknown state", func(m *Memory, _ map[int][]int) { m.slot(2).state().Store(77) }, []string{"key2"}, 1},
		{"lengths that cannot be", func(m *Memory, _ map[int][]int) { m.slot(2).b[lengthsAt] = 200 }, []string{"key2"}, 1},
		{"two of one key", func(m *Memory, held map[int][]int) { copy(m.slot(3).b[keyAt:], "key0") }, []string{"key3"}, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			m, held := setup()
			c.change(m, held)
			kept, problems, s := reopen(t, m, held)
			if len(problems) != c.problems {
				t.Errorf("problems: %q", problems)
			}
			for n := range 4 {
				key := fmt.Sprintf("key%d", n)
				_, there := kept[key]
				if want := !slices.Contains(c.lost, key); there != want {
					t.Errorf("%s is there: %t, want %t (%q)", key, there, want, problems)
				}
			}
			if err := s.Put("more", nil); err != nil { // and the store works
				t.Error(err)
			}
		})
	}
}

// TestFromSystemd: descriptors in any order, with gaps, twice, without names.
func TestFromSystemd(t *testing.T) {
	for _, c := range []struct {
		what    string
		names   []string
		held    map[int]int // descriptors by slot
		memory  bool
		sockets int
	}{
		{"nothing", nil, nil, false, 0},
		{"sockets only", []string{"ivtd.socket", "ivtd.socket"}, nil, false, 2},
		{"reversed", []string{slotName(70, 1), slotName(70, 0), slotName(2, 0), "m", "ivtd.socket"}, map[int]int{70: 2, 2: 1}, true, 1},
		{"a gap", []string{"m", slotName(3, 1), slotName(4, 0)}, map[int]int{4: 1}, true, 0},
		{"twice", []string{"m", slotName(3, 0), slotName(3, 0), "m"}, map[int]int{3: 1}, true, 0},
		{"no memory", []string{slotName(3, 0), "ivtd.socket"}, nil, false, 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			in := sorted(c.names, func(n int) int { return eventfd(t, uint64(n+1)) })
			in.set.complete()
			if (in.set.Memory >= 0) != c.memory || len(in.sockets) != c.sockets {
				t.Errorf("memory %d, %d sockets", in.set.Memory, len(in.sockets))
			}
			if c.memory && len(in.set.Held) != len(c.held) {
				t.Errorf("held %v, want %v", in.set.Held, c.held)
			}
			for slot, n := range c.held {
				if len(in.set.Held[slot]) != n {
					t.Errorf("slot %d: %v, want %d", slot, in.set.Held[slot], n)
				}
			}
		})
	}
}

// TestLostNames: LISTEN_FDS that cannot be is an error, one for another process is nothing.
func TestLostNames(t *testing.T) {
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("LISTEN_FDS", "many")
	if _, _, err := FromSystemd(); err == nil || !strings.Contains(err.Error(), `LISTEN_FDS="many"`) {
		t.Errorf("got %v", err)
	}
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "3")
	if in, sockets, err := FromSystemd(); in != nil || sockets != nil || err != nil {
		t.Errorf("got %v, %v, %v", in, sockets, err)
	}
}

// TestSlotNames are short, different, and come back.
func TestSlotNames(t *testing.T) {
	seen := map[string]bool{}
	for _, slot := range []int{0, 1, 2, 77, 4095, DefaultSlots - 1} {
		for i := range MaxDescriptors {
			name := slotName(slot, i)
			s, n, ok := parseSlotName(name)
			if seen[name] || s != slot || n != i || !ok {
				t.Errorf("%d, %d is %q, which is %d, %d, %t", slot, i, name, s, n, ok)
			}
			seen[name] = true
		}
	}
}
