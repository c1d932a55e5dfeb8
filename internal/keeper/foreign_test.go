package keeper

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
		{what: "another layout", boot: "here", damage: func(m *Memory) { m.bytes[versionAt] = 99 }, want: "layout 99, this program knows 3"},
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

// TestRule14MemoryOfTheFormerVersion: it has longer slots, and goes on with them.
func TestRule14MemoryOfTheFormerVersion(t *testing.T) {
	m, err := NewMemory(16, "i", bootID())
	if err != nil {
		t.Fatal(err)
	}
	m.slots, m.size = 8, formerSize
	m.bytes[versionAt], m.bytes[slotsAt] = formerVersion, 8
	long := bytes.Repeat([]byte("x"), formerSize-valueAt)
	m.slot(1).write("long", long, nil, m.nextChange())
	m.slot(1).state().Store(slotLive)
	m.setUsed(2)
	fd, err := kernel.MemoryFile("former", headerSize+8*formerSize)
	if err != nil {
		t.Fatal(err)
	}
	b, err := kernel.MapShared(fd, headerSize+8*formerSize)
	if err != nil {
		t.Fatal(err)
	}
	copy(b, m.bytes)
	opened, err := OpenMemory(fd, bootID())
	if err != nil {
		t.Fatal(err)
	}
	kept, problems, s := reopen(t, opened, nil)
	if !bytes.Equal(kept["long"].Value, long) || len(problems) > 0 {
		t.Errorf("kept %v, problems %q", kept, problems)
	}
	if err := s.Put("more", long[:MaxValue]); err != nil {
		t.Error(err)
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
func reopen(t *testing.T, m *Memory, back map[int][]int) (map[string]*Entry, []string, *Store) {
	t.Helper()
	held := map[int][]int{}
	for slot, fds := range back {
		if m.slot(slot).gave(fds) {
			held[slot] = fds
		}
	}
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{memory: m, held: held, control: ours}
	k.store = newStore("", nil)
	table, err := (&Keeper{held: copies(t, held)}).table()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go k.serve(done)
	s, kept, problems, err := Open(theirs, must(t, kernel.Duplicate, m.FD()), table)
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
	a, b, err := kernel.Socketpair()
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

// TestFromSystemd: what the store gives back in any order, too few, too many, twice, without names: a slot comes back whole or not at
// all, and whatever nobody has goes out of the store.
func TestFromSystemd(t *testing.T) {
	for _, c := range []struct {
		what    string
		names   []string
		held    map[int]int // descriptors by slot
		gone    []string    // from the store
		memory  bool
		sockets int
	}{
		{what: "nothing"},
		{what: "sockets only", names: []string{"ivtd.socket", "ivtd.socket"}, sockets: 2},
		{what: "reversed", names: []string{nameOf(4), nameOf(3), nameOf(2), nameOf(1), "c", "m", "ivtd.socket"}, held: map[int]int{0: 2, 1: 2, 2: 1}, memory: true, sockets: 1},
		{what: "too few", names: []string{"m", nameOf(2), nameOf(3), nameOf(4)}, held: map[int]int{1: 2, 2: 1}, gone: []string{nameOf(2)}, memory: true},
		{what: "too many", names: []string{"m", nameOf(1), nameOf(2), nameOf(77), nameOf(3), nameOf(4)}, held: map[int]int{0: 2, 1: 2, 2: 1}, gone: []string{nameOf(77)}, memory: true},
		{what: "twice", names: []string{"m", nameOf(4), nameOf(4), "m", "c", "c"}, held: map[int]int{2: 1}, memory: true},
		{what: "no memory", names: []string{nameOf(3), "ivtd.socket"}, sockets: 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			in, sockets := sorted(c.names, func(n int) int { fd, _ := pipe(t); return fd })
			if (in.Memory >= 0) != c.memory || len(sockets) != c.sockets {
				t.Errorf("memory %d, %d sockets", in.Memory, len(sockets))
			}
			if !c.memory {
				return
			}
			// Slots 0 and 1 have two descriptors each, of which one is the same file; slot 2 has one.
			s, heard := fakeStore(t)
			s.memory.setUsed(3)
			for slot, names := range [][]uint32{{1, 2}, {3, 4}, {4}} {
				for i, name := range names {
					s.memory.slot(slot).name(i).Store(name)
				}
			}
			held := s.restore(in)
			for slot := range 3 {
				if len(held[slot]) != c.held[slot] {
					t.Errorf("slot %d: %v, want %d", slot, held[slot], c.held[slot])
				}
				closeAll(held[slot])
			}
			for _, name := range c.gone {
				if got := heard(); got != "FDSTOREREMOVE=1\nFDNAME="+name {
					t.Errorf("systemd heard %q", got)
				}
			}
		})
	}
}

// fakeStore is a store whose systemd is the test: heard returns what was said next, "" if nothing was.
func fakeStore(t *testing.T) (s *store, heard func() string) {
	t.Helper()
	path := t.TempDir() + "/notify"
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s = newStore(path, slog.New(slog.DiscardHandler))
	if s.memory, err = NewMemory(16, "i", bootID()); err != nil {
		t.Fatal(err)
	}
	return s, func() string {
		b := make([]byte, 256)
		l.SetReadDeadline(time.Now().Add(time.Millisecond)) // what was said is in the socket
		n, _ := l.Read(b)
		return string(b[:n])
	}
}

// TestOneFileIsStoredOnce: systemd drops a second copy of the same file, whatever its name. So a file has one name, as long as any
// slot has it, and is taken out with the last.
func TestOneFileIsStoredOnce(t *testing.T) {
	s, heard := fakeStore(t)
	a, b := pipe(t)
	again := must(t, kernel.Duplicate, a)
	e, f := eventfd(t, 1), eventfd(t, 1)
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"two files", func() { s.put(1, []int{a, b}) }, []string{"FDSTORE=1\nFDPOLL=0\nFDNAME=" + nameOf(1), "FDSTORE=1\nFDPOLL=0\nFDNAME=" + nameOf(2)}},
		{"one of them again", func() { s.put(2, []int{again}) }, nil},
		{"the first owner leaves", func() { s.drop(1) }, []string{"FDSTOREREMOVE=1\nFDNAME=" + nameOf(2)}},
		{"eventfds, which have one inode", func() { s.put(3, []int{e, f, e}) }, []string{"FDSTORE=1\nFDPOLL=0\nFDNAME=" + nameOf(2), "FDSTORE=1\nFDPOLL=0\nFDNAME=" + nameOf(3)}},
		{"the last owner leaves", func() { s.drop(2) }, []string{"FDSTOREREMOVE=1\nFDNAME=" + nameOf(1)}},
		{"nothing twice", func() { s.drop(2); s.drop(1) }, nil},
		{"no room for two", func() { s.limit = 3; s.put(4, []int{a, b}) }, []string{"FDSTORE=1\nFDPOLL=0\nFDNAME=" + nameOf(1), "FDSTOREREMOVE=1\nFDNAME=" + nameOf(1)}},
		{"but for one", func() { s.put(5, []int{b}) }, []string{"FDSTORE=1\nFDPOLL=0\nFDNAME=" + nameOf(1)}},
	} {
		step.do()
		for _, want := range append(step.want, "") {
			if got := heard(); got != want {
				t.Errorf("%s: systemd heard %q, want %q", step.what, got, want)
			}
		}
	}
}

// TestTheNextKeeperHearsOut: a keeper that dies before it has read what its worker said costs nothing.
func TestTheNextKeeperHearsOut(t *testing.T) {
	s, _ := fakeStore(t)
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	worker := &Store{memory: s.memory, control: theirs, index: map[string]int{}}
	a, b := pipe(t)
	for i, key := range []string{"one", "two", "three"} {
		if err := worker.Put(key, []byte{byte(i)}, a, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(worker.Drop("two"), worker.Ready(), worker.Put("one", nil, b)); err != nil {
		t.Fatal(err)
	}
	kernel.Close(theirs)
	k := &Keeper{memory: s.memory, store: s, held: map[int][]int{}, options: Options{Log: s.log}}
	k.hearOut(ours)
	kept, problems, _ := reopen(t, s.memory, k.held)
	if len(kept) != 2 || len(problems) > 0 || len(kept["one"].Descriptors) != 1 || len(kept["three"].Descriptors) != 2 {
		t.Errorf("kept %v, problems %q", kept, problems)
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

// TestNames are short, different, and come back.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []uint32{1, 2, 63, 64, 4095, 4096, storeLimit, 64*64*64 - 1} {
		name := nameOf(n)
		back, ok := parseName(name)
		if seen[name] || back != n || !ok || len(name) != nameLength {
			t.Errorf("%d is %q, which is %d, %t", n, name, back, ok)
		}
		seen[name] = true
	}
	for _, name := range []string{"", "m", "c", "000", "12345", "a.b"} {
		if n, ok := parseName(name); ok {
			t.Errorf("%q is %d", name, n)
		}
	}
}
