package vectormap

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// machine is a fake kernel with one of everything: a plain interrupt, a remapped one, one that moves, managed ones
// started and not, the old PIC's, and slots that their users left.
func machine(t testing.TB, f *fakeKernel) *fakeKernel {
	t.Helper()
	f.irq(4, "IO-APIC", "APIC")
	f.give(4, 0, 0x21)
	f.irq(24, "PCI-MSI", "INTEL-IR", "APIC")
	f.give(24, 1, 0x21)
	f.irq(30, "PCI-MSI", "APIC")
	f.give(30, 0, 0x22)
	f.move(30, 1, 0x22)
	f.irq(40, "PCI-MSI", "APIC")
	f.setAside(0, 0x23)
	f.start(40, 0, 0x23)
	f.setAside(1, 0x24)
	f.irq(2, "XT-PIC")
	for cpu := range f.cpus {
		f.slot(cpu, 0x32, f.descs[2])
	}
	f.slot(0, 0x40, slotShutdown)
	f.slot(1, 0x41, slotRetriggered)
	f.set(f.matrix, f.layout.matrix.reserved, 3)
	return f
}

func wantMachine() *Map {
	system := []int{}
	for v := range 256 {
		if v < 0x20 || v >= 0xeb || v == 0x80 {
			system = append(system, v)
		}
	}
	return &Map{
		Passes: 2,
		Global: Global{Online: 2, First: 0x20, End: 0xeb, Available: 398, Allocated: 5, Reserved: 3, Managed: 2, System: system},
		CPUs: []CPU{
			{Number: 0, Online: true, Available: 199, Allocated: 3, Managed: 1, ManagedAllocated: 1, Slots: []Slot{
				{Vector: 0x21, State: StateLive, IRQ: 4},
				{Vector: 0x22, State: StateCleanup, IRQ: 30},
				{Vector: 0x23, State: StateLive, IRQ: 40, Managed: true},
				{Vector: 0x32, State: StateLegacy, IRQ: 2},
				{Vector: 0x40, State: StateShutdown, IRQ: Unknown}}},
			{Number: 1, Online: true, Available: 199, Allocated: 2, Managed: 1, Slots: []Slot{
				{Vector: 0x21, State: StateLive, IRQ: 24},
				{Vector: 0x22, State: StateLive, IRQ: 30},
				{Vector: 0x24, State: StateManaged, IRQ: Unknown, Managed: true},
				{Vector: 0x32, State: StateLegacy, IRQ: 2},
				{Vector: 0x41, State: StateRetriggered, IRQ: Unknown}}},
		},
		IRQs: []IRQ{
			{Number: 2, Chips: []string{"XT-PIC"}, CPU: Unknown, Vector: 0x32, Legacy: true},
			{Number: 4, Chips: []string{"IO-APIC", "APIC"}, CPU: 0, Vector: 0x21},
			{Number: 24, Chips: []string{"PCI-MSI", "INTEL-IR", "APIC"}, CPU: 1, Vector: 0x21},
			{Number: 30, Chips: []string{"PCI-MSI", "APIC"}, CPU: 1, Vector: 0x22, PreviousCPU: 0, PreviousVector: 0x22, Moving: true},
			{Number: 40, Chips: []string{"PCI-MSI", "APIC"}, CPU: 0, Vector: 0x23, Managed: true},
		},
	}
}

// Every state of a slot is recognised, whatever the kernel's structures look like: bitmaps inside or behind pointers,
// members in any order.
func TestStatesInEveryLayout(t *testing.T) {
	for _, pointers := range []bool{false, true} {
		for seed := range uint64(20) {
			var random *rand.Rand
			if seed > 0 {
				random = rand.New(rand.NewPCG(seed, 0))
			}
			f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(pointers), random, ""), 2))
			m, err := f.kernel().snapshot(context.Background(), DefaultPasses)
			if err != nil {
				t.Fatalf("pointers %v, seed %d: %v", pointers, seed, err)
			}
			if diff := cmp.Diff(wantMachine(), m); diff != "" {
				t.Fatalf("pointers %v, seed %d (-want +got):\n%s", pointers, seed, diff)
			}
		}
	}
}

// A structure or member that is missing is named, and nothing is read.
func TestLayoutRefusesWhatIsMissing(t *testing.T) {
	for name, s := range shapes(true) {
		for _, member := range s {
			if member.name == "mask" || member.name == "kstat" || member.name == "depth" || member.name == "startup" {
				continue // not wanted
			}
			if _, err := newLayout(fakeTypes(t, shapes(true), nil, member.name)); err == nil {
				t.Errorf("without %s.%s: no error", name, member.name)
			}
		}
	}
	if _, err := newLayout(fakeTypes(t, shapes(true), nil, "vector_irq_t")); err == nil {
		t.Error("without vector_irq_t: no error")
	}
}

// An interrupt that moves at any moment of the reading, at once or so slowly that half a move is seen, gives the map before
// or after, never a mixture.
func TestMoveAtEveryMoment(t *testing.T) {
	spec := fakeTypes(t, shapes(true), nil, "")
	read := func(at, pace int) (*Map, int, error) {
		f := machine(t, newFakeKernel(t, spec, 2))
		k := f.kernel()
		f.reads = 0
		steps := f.moveSteps(24, 0, 0x50)
		f.onRead = func(n int) {
			for at > 0 && len(steps) > 0 && n >= at && (n-at)%max(pace, 1) == 0 {
				steps[0]()
				if steps = steps[1:]; pace > 0 {
					return
				}
			}
		}
		m, err := k.snapshot(context.Background(), DefaultPasses)
		return m, f.reads, err
	}
	quiet, reads, err := read(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, pace := range []int{0, 1, 3, 10} {
		before, after := 0, 0
		for at := 1; at <= reads; at++ {
			m, _, err := read(at, pace)
			if err != nil {
				t.Fatalf("move at read %d of %d, a step each %d: %v", at, reads, pace, err)
			}
			switch q := m.IRQ(24); {
			case cmp.Equal(m.CPUs, quiet.CPUs):
				before++
			case q.CPU == 0 && q.Vector == 0x50 && q.PreviousCPU == 1 && q.PreviousVector == 0x21 && m.Global.Allocated == quiet.Global.Allocated+1:
				after++
			default:
				t.Fatalf("move at read %d of %d, a step each %d: %+v", at, reads, pace, q)
			}
		}
		if before == 0 || after == 0 {
			t.Errorf("a step each %d: %d maps from before, %d from after: the moves did not reach both sides", pace, before, after)
		}
	}
}

// A table that never comes to rest is reported, not guessed.
func TestUnstable(t *testing.T) {
	f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 2))
	k := f.kernel()
	on := false
	f.onRead = func(n int) {
		if n%7 == 0 {
			on = !on
			f.set(f.matrix, f.layout.matrix.reserved, uint64(n))
		}
	}
	if _, err := k.snapshot(context.Background(), 4); !errors.Is(err, errUnstable) {
		t.Errorf("got %v, want %v", err, errUnstable)
	}
}

// What cannot be true at rest is torn, however often it is read: the map is refused.
func TestTorn(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(f *fakeKernel)
	}{
		{"an allocated vector without interrupt", func(f *fakeKernel) { f.allocated(0, 0x60, true) }},
		{"an interrupt in a vector that is not allocated", func(f *fakeKernel) { f.allocated(0, 0x21, false) }},
		{"a counter that does not fit its bitmap", func(f *fakeKernel) { f.add(f.maps+f.cpus[0], f.layout.cpumap.allocated, 1) }},
		{"free vectors that do not add up", func(f *fakeKernel) { f.add(f.maps+f.cpus[1], f.layout.cpumap.available, 1) }},
		{"managed vectors that are not marked", func(f *fakeKernel) { f.add(f.maps+f.cpus[1], f.layout.cpumap.managed, 1) }},
		{"totals that are not the sum", func(f *fakeKernel) { f.add(f.matrix, f.layout.matrix.available, 1) }},
		{"a total of allocated ones that is not the sum", func(f *fakeKernel) { f.add(f.matrix, f.layout.matrix.allocated, 1) }},
		{"more CPUs online than the CPUs say", func(f *fakeKernel) { f.add(f.matrix, f.layout.matrix.online, 1) }},
		{"a slot whose interrupt is elsewhere", func(f *fakeKernel) { f.slot(0, 0x70, f.descs[24]) }},
		{"a slot that points to nothing", func(f *fakeKernel) { f.slot(0, 0x70, fakeStart-4096) }},
		{"a slot that points to zeros", func(f *fakeKernel) { f.slot(0, 0x70, f.allocate(512)) }},
		{"chip data of another interrupt", func(f *fakeKernel) { f.set(f.apics[4], f.layout.apic.irq, 5) }},
		{"a chain that goes in circles", func(f *fakeKernel) {
			at := f.descs[4] + uint64(f.layout.desc.data.offset)
			f.set(at, f.layout.data.parent, at)
		}},
		{"two descriptors with one number", func(f *fakeKernel) {
			old := f.descs[4]
			f.irq(4, "PCI-MSI", "APIC")
			f.give(4, 1, 0x51)
			f.descs[4] = old
		}},
	} {
		f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 2))
		k := f.kernel()
		c.damage(f)
		if m, err := k.snapshot(context.Background(), 3); !errors.Is(err, errUnstable) {
			t.Errorf("%s: got %+v, %v; want %v", c.name, m, err, errUnstable)
		}
	}
}

// Memory that gives zeros or fails is refused at once.
func TestUnreadableMemory(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(f *fakeKernel)
	}{
		{"zeros everywhere", func(f *fakeKernel) { clear(f.bytes) }},
		{"an allocator of zeros", func(f *fakeKernel) { clear(f.bytes[f.matrix-fakeStart:][:f.layout.matrix.size]) }},
		{"a pointer to nowhere", func(f *fakeKernel) { f.put(f.symbols.vectorMatrix, 8, 0xffffffffff000000) }},
		{"a bitmap at zero", func(f *fakeKernel) { f.set(f.matrix, f.layout.matrix.system, 0) }},
		{"another number of vectors", func(f *fakeKernel) { f.set(f.matrix, f.layout.matrix.bits, 512) }},
		{"vectors from zero", func(f *fakeKernel) { f.set(f.matrix, f.layout.matrix.start, 0) }},
	} {
		f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 2))
		k := f.kernel()
		c.damage(f)
		if m, err := k.snapshot(context.Background(), 3); err == nil || errors.Is(err, errUnstable) {
			t.Errorf("%s: got %+v, %v; want a refusal", c.name, m, err)
		}
	}
}

// An offline CPU keeps what is set aside on it and counts in no total; what its table still points to is not shown.
func TestOfflineCPU(t *testing.T) {
	f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 3))
	f.setAside(2, 0x25)
	f.slot(2, 0x26, f.descs[24])
	f.offline(2)
	m, err := f.kernel().snapshot(context.Background(), DefaultPasses)
	if err != nil {
		t.Fatal(err)
	}
	want := CPU{Number: 2, Available: 201, Managed: 1, Slots: []Slot{
		{Vector: 0x25, State: StateManaged, IRQ: Unknown, Managed: true}, {Vector: 0x32, State: StateLegacy, IRQ: 2}}}
	if diff := cmp.Diff(want, m.CPUs[2]); diff != "" {
		t.Errorf("CPU 2 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantMachine().Global, m.Global); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}

// A cancelled context ends the reading.
func TestCancelled(t *testing.T) {
	f := machine(t, newFakeKernel(t, fakeTypes(t, shapes(true), nil, ""), 2))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.kernel().snapshot(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
