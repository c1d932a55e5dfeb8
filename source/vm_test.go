//go:build linux

package source

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^TestVM

// The tests in *_vm_test.go run on real kernels with emulated devices: make test-vm PKG=./source

// openPCI gives an emulated device to vfio-pci and opens it as a source.
func openPCI(t *testing.T, id string, settings map[string]any, change ...func(*Config)) (*bench, string) {
	t.Helper()
	guest.Require(t)
	guest.Load(t, "vfio-pci")
	address := guest.Device(t, id)
	guest.Bind(t, address, "vfio-pci")
	c := Config{Name: "pci:" + address, Settings: settings}
	for _, f := range change {
		f(&c)
	}
	return openSource(t, c), address
}

func (b *bench) vector(kind string, index int) irq.Vector {
	return irq.Vector{Source: b.attached.Name(), Type: kind, Index: index}
}

// hardware is the device's side of one vector.
type hardware struct {
	raise  func()
	raised func() bool // nobody has acknowledged yet
	ack    func()
}

func eduHardware(t *testing.T, address string) hardware {
	e := guest.OpenEdu(t, address)
	return hardware{func() { e.Raise(1) }, func() bool { return e.Raised() != 0 }, func() { e.Ack(1) }}
}

func nicHardware(e guest.E1000e, vector int) hardware {
	return hardware{func() { e.Raise(vector) }, func() bool { return e.Raised(vector) }, func() { e.Ack(vector) }}
}

// paced raises n interrupts, each after the former was acknowledged, and fails if the holder misses one.
func (h hardware) paced(t *testing.T, g *grip, n int) {
	t.Helper()
	for i := range n {
		h.raise()
		if !h.raised() {
			t.Fatal("the device did not raise its interrupt")
		}
		if !wait(g.FD, limit) {
			text, _ := os.ReadFile("/proc/interrupts") // whether the kernel had it
			t.Fatalf("interrupt %d of %d was slept through, the device raises it: %t, the kernel counts\n%s", i+1, n, h.raised(), text)
		}
		g.count()
		h.ack()
		if g.Unmask >= 0 {
			if err := kernel.WriteEventfd(g.Unmask, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// vfioLines returns the lines of /proc/interrupts that are VFIO's, without counts.
func vfioLines(t *testing.T) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if at := strings.Index(line, "vfio"); at >= 0 {
			lines = append(lines, strings.TrimSpace(line[at:]))
		}
	}
	return lines
}

// asBefore fails if VFIO's interrupts or our descriptors are not what they were at the start: call it first.
func asBefore(t *testing.T) {
	t.Helper()
	leakFree(t)
	t.Cleanup(func() {
		if lines := vfioLines(t); len(lines) > 0 {
			t.Errorf("interrupts are left: %q", lines)
		}
	})
}

// A memoryKeep keeps what a source puts, as a keeper in another process does.
type memoryKeep struct {
	mu       sync.Mutex
	kept     map[string]Kept
	counters map[string]*atomic.Uint64
}

func newMemoryKeep(t testing.TB) *memoryKeep {
	k := &memoryKeep{kept: map[string]Kept{}, counters: map[string]*atomic.Uint64{}}
	t.Cleanup(func() {
		for key, kept := range k.kept {
			t.Errorf("%s is still kept", key)
			closeAll(kept.FDs)
		}
	})
	return k
}

func (k *memoryKeep) Put(key string, value []byte, fds ...int) error {
	copies, err := duplicates(fds)
	if err != nil {
		return err
	}
	k.Drop(key)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept[key], k.counters[key] = Kept{Value: value, FDs: copies}, new(atomic.Uint64)
	return nil
}

func (k *memoryKeep) Drop(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	closeAll(k.kept[key].FDs)
	delete(k.kept, key)
	delete(k.counters, key)
}

func (k *memoryKeep) Counter(key string) *atomic.Uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counters[key]
}

// All returns copies, as after a restart.
func (k *memoryKeep) All() map[string]Kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := maps.Clone(k.kept)
	for key, kept := range all {
		kept.FDs, _ = duplicates(kept.FDs)
		kept.Count = k.counters[key].Load()
		all[key] = kept
	}
	return all
}

func duplicates(fds []int) (copies []int, err error) {
	for _, fd := range fds {
		c, err := kernel.Duplicate(fd)
		if err != nil {
			closeAll(copies)
			return nil, err
		}
		copies = append(copies, c)
	}
	return copies, nil
}

// die is what the kernel does with the sources of a process that is killed: every descriptor is closed,
// nothing else happens.
func (b *bench) die() {
	switch s := b.source.(type) {
	case *vfio:
		s.die()
	case *soft:
		for _, bell := range s.bells.open {
			bell.die()
		}
		s.streams.die()
	case *gpio:
		for _, l := range s.lines {
			l.deafen()
			kernel.Close(l.fd)
			l.fd = -1
		}
		kernel.Close(s.chip)
		s.streams.die()
	case *uio:
		s.deafen()
		kernel.Close(s.fd)
		s.fd = -1
		s.streams.die()
	}
}

func (b *bell) die() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.relay.remove(b.in.fd, b.keys[0])
	closeAll([]int{b.in.fd, b.theirs})
	if b.pidfd >= 0 {
		b.relay.remove(b.pidfd, b.keys[1])
		kernel.Close(b.pidfd)
	}
	b.in.fd = -1
}

func (s *Streams) die() {
	for _, st := range s.open {
		st.mu.Lock()
		st.closed = true
		s.relay.remove(st.in.fd, st.key)
		closeAll([]int{st.in.fd, st.theirs})
		st.mu.Unlock()
	}
	for _, k := range s.kept {
		closeAll(k.FDs)
	}
	s.relay.release()
}

func (s *vfio) die() {
	g := s.group
	g.mu.Lock()
	for _, n := range s.notices {
		n.close()
	}
	for _, w := range s.wires {
		w.close(s.streams.relay)
	}
	kernel.Close(s.device)
	s.device = -1
	if g.without(s); len(g.members) == 0 {
		g.close()
	}
	g.mu.Unlock()
	g.leave()
	s.streams.die()
}

// restart is a kill of the process that has the source, and its successor, which takes over. The grips
// are those that go on.
func (b *bench) restart(c Config, grips ...*grip) {
	b.t.Helper()
	var records []irq.Record
	for _, g := range grips {
		records = append(records, g.conn.Record())
	}
	b.die()
	b.registry = irq.New(irq.Config{})
	b.attach(c)
	if b.meanwhile != nil {
		b.meanwhile()
	}
	for i, record := range records {
		conn, err := b.registry.Adopt(irq.AdoptSpec{Record: record, Wire: b.source.Adopt})
		if err != nil {
			b.t.Fatal(err)
		}
		grips[i].conn = conn
	}
	if s, ok := b.source.(Settler); ok {
		if err := s.Settle(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// refused fails unless opening is refused with code, and returns the refusal.
func refused(t *testing.T, c Config, code irq.Code) *irq.Error {
	t.Helper()
	s, err := Lookup(irq.Vector{Source: c.Name}.Scheme()).Open(context.Background(), c)
	if err == nil {
		s.Close()
		t.Fatalf("%s was opened", c.Name)
	}
	var e *irq.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want %v", err, code)
	}
	if len(e.Remedies) == 0 || e.Detail == "" {
		t.Errorf("no remedy or detail: %+v", e)
	}
	return e
}

// notADriver is a device file that somebody else has open.
func openElsewhere(t *testing.T, path ...string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(path...), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}
