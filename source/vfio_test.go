//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// fakePort is a function whose kernel says what a test wants: what real kernels rarely say, and the order of calls.
// The real thing is tested in *_vm_test.go.
type fakePort struct {
	counts [3]uint32 // by index of VFIO
	flags  uint32    // of MSI and MSI-X
	free   int       // vectors that the host has; 0: plenty
	fail   map[string]error
	calls  []string
}

func (p *fakePort) call(format string, args ...any) error {
	c := fmt.Sprintf(format, args...)
	p.calls = append(p.calls, c)
	for prefix, err := range p.fail {
		if len(c) >= len(prefix) && c[:len(prefix)] == prefix {
			return err
		}
	}
	return nil
}

// what names a descriptor, whose number varies.
func what(fd int) string {
	if fd < 0 {
		return "none"
	}
	return "fd"
}

func (p *fakePort) Info(index int) (kernel.VFIOIRQInfo, error) {
	return kernel.VFIOIRQInfo{Flags: p.flags, Count: p.counts[index]}, nil
}

func (p *fakePort) Trigger(index, start, fd int) (int, error) {
	if err := p.call("trigger %d/%d %s", index, start, what(fd)); err != nil {
		return 0, err
	}
	if p.free > 0 && start >= p.free {
		return p.free, nil
	}
	return 0, nil
}

func (p *fakePort) Disable(index int) error       { return p.call("disable %d", index) }
func (p *fakePort) Ring(index, start int) error   { return p.call("ring %d/%d", index, start) }
func (p *fakePort) Mask(index, start int) error   { return p.call("mask %d/%d", index, start) }
func (p *fakePort) Unmask(index, start int) error { return p.call("unmask %d/%d", index, start) }
func (p *fakePort) Reset() error                  { return p.call("reset") }
func (p *fakePort) UnmaskBy(index, start, fd int) error {
	return p.call("unmask by %d/%d %s", index, start, what(fd))
}

// took returns the calls since the last time.
func (p *fakePort) took() []string {
	calls := p.calls
	p.calls = nil
	return calls
}

// fakeFunction attaches a function with that port.
func fakeFunction(t *testing.T, p *fakePort, settings map[string]any) *bench {
	t.Helper()
	leakFree(t)
	c := Config{Name: "pci:0000:00:01.0", Settings: settings}.complete()
	read, err := readVFIOSettings(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &vfio{f: pciFunction{address: "0000:00:01.0"}, config: c, settings: read, port: p, gone: make(chan struct{}), wires: map[irq.Vector]*wire{}}
	s.group = joinGroup(t.Name(), "1", wayGroup)
	s.group.members = []*vfio{s}
	for _, fd := range []*int{&s.device, &s.group.container, &s.group.file} {
		if *fd, err = kernel.OpenDevice("/dev/null", 0); err != nil {
			t.Fatal(err)
		}
	}
	if s.streams, err = NewStreams(c); err != nil {
		t.Fatal(err)
	}
	if s.info, err = s.readInfo(); err == nil {
		s.spec, err = s.describe()
	}
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	b := &bench{t: t, registry: irq.New(irq.Config{}), source: s}
	if b.attached, err = b.registry.Attach(s.Spec()); err != nil {
		t.Fatal(err)
	}
	s.Attached(b.attached)
	t.Cleanup(b.close)
	return b
}

// refusal connects, and returns why that is refused.
func (b *bench) refusal(v irq.Vector, change ...func(*irq.Request)) *irq.Error {
	b.t.Helper()
	q := irq.Request{Vectors: []irq.Vector{v}}
	for _, f := range change {
		f(&q)
	}
	_, err := b.registry.Connect(context.Background(), q)
	var e *irq.Error
	if !errors.As(err, &e) {
		b.t.Fatalf("got %v where a refusal should be", err)
	}
	return e
}

func TestVectorsAreSetUpInTheRightOrder(t *testing.T) {
	for _, test := range []struct {
		name string
		port fakePort
		kind string
		want [][]string // connect, disconnect, connect
	}{
		{"a table that cannot grow is sized once", fakePort{counts: [3]uint32{0, 0, 5}, flags: kernel.VFIONoResize}, "msix", [][]string{
			{"trigger 2/4 none", "trigger 2/1 fd"},
			{"trigger 2/1 fd"},
			{"trigger 2/1 fd", "ring 2/1"},
		}},
		{"one that can grow takes vectors as they come", fakePort{counts: [3]uint32{0, 0, 5}}, "msix", [][]string{
			{"trigger 2/0 none", "trigger 2/1 fd"},
			{"trigger 2/1 fd"},
			{"trigger 2/1 fd", "ring 2/1"},
		}},
		{"INTx: cut, re-point, unmask, ring", fakePort{counts: [3]uint32{2, 0, 0}}, "intx", [][]string{
			{"unmask by 0/1 none", "trigger 0/1 fd", "unmask by 0/1 fd", "unmask 0/1"},
			{"unmask by 0/1 none", "mask 0/1", "trigger 0/1 fd"},
			{"unmask by 0/1 none", "trigger 0/1 fd", "unmask by 0/1 fd", "unmask 0/1", "ring 0/1"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := fakeFunction(t, &test.port, nil)
			v := b.vector(test.kind, 1)
			var got [][]string
			g := b.connect(v)
			got = append(got, test.port.took())
			g.disconnect()
			got = append(got, test.port.took())
			b.connect(v)
			got = append(got, test.port.took())
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A positive return of the kernel is a shortage, told with what was asked for and what there is; what there is is taken if it is enough.
func TestShortage(t *testing.T) {
	for _, test := range []struct {
		name            string
		port            fakePort
		settings        map[string]any
		index           int
		code            irq.Code // 0: it is connected
		requested, free int
	}{
		{"fewer than the table has, enough for this one", fakePort{counts: [3]uint32{0, 0, 8}, flags: kernel.VFIONoResize, free: 3}, nil, 2, 0, 0, 0},
		{"fewer than the table has, not enough", fakePort{counts: [3]uint32{0, 0, 8}, flags: kernel.VFIONoResize, free: 3}, nil, 3, irq.ErrNoResources, 8, 3},
		{"beyond the budget", fakePort{counts: [3]uint32{0, 0, 8}, flags: kernel.VFIONoResize}, map[string]any{"budget": 4}, 4, irq.ErrNoResources, 5, 4},
		{"beyond what is taken without a budget", fakePort{counts: [3]uint32{0, 0, 2048}, flags: kernel.VFIONoResize}, nil, 64, irq.ErrNoResources, 65, 64},
		{"a table that can grow, and a host that is full", fakePort{counts: [3]uint32{0, 0, 8}, free: 3}, nil, 5, irq.ErrNoResources, 1, 3},
		{"the host says ENOSPC", fakePort{counts: [3]uint32{0, 0, 8}, fail: map[string]error{"trigger 2/1": syscall.ENOSPC}}, nil, 1, irq.ErrNoResources, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := fakeFunction(t, &test.port, test.settings)
			v := b.vector("msix", test.index)
			if test.code == 0 {
				b.connect(v)
				return
			}
			if e := b.refusal(v); e.Code != test.code || e.Requested != test.requested || e.Free != test.free || len(e.Remedies) == 0 {
				t.Errorf("got %v: requested %d, free %d", e, e.Requested, e.Free)
			}
			b.connect(b.vector("msix", 0)) // nothing is broken
		})
	}
}

func TestWiringFaults(t *testing.T) {
	for _, test := range []struct {
		name, kind, call string
		err              error
		code             irq.Code
		reason           irq.Reason
	}{
		{"the line is not shareable and the host uses it", "intx", "trigger 0/0 fd", syscall.EBUSY, irq.ErrAlreadyConnected, irq.ReasonKernelHolds},
		{"somebody's unmask eventfd is there", "intx", "unmask by 0/0 fd", syscall.EBUSY, irq.ErrBusy, ""},
		{"the device went away", "msix", "trigger 2/0 fd", syscall.ENODEV, irq.ErrNotConnected, irq.ReasonSourceGone},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := &fakePort{counts: [3]uint32{1, 0, 5}, fail: map[string]error{test.call: test.err}}
			b := fakeFunction(t, p, nil)
			v := b.vector(test.kind, 0)
			e := b.refusal(v)
			if test.reason != "" && (e.Code != test.code || e.Reason != test.reason) || !errors.Is(e, test.err) {
				t.Errorf("got %v (%s)", e, e.Reason)
			}
			p.fail = nil
			b.connect(v) // nothing is left of the attempt
		})
	}
}

// Without descriptors left, or a kernel that refuses the sink, a vector is silenced and not left with its former holder.
func TestParkingWithoutSink(t *testing.T) {
	p := &fakePort{counts: [3]uint32{0, 0, 5}}
	b := fakeFunction(t, p, nil)
	g := b.connect(b.vector("msix", 0))
	p.took()
	p.fail = map[string]error{"trigger 2/0 fd": syscall.EINVAL}
	g.disconnect()
	if d := cmp.Diff([]string{"trigger 2/0 fd", "trigger 2/0 none"}, p.took()); d != "" {
		t.Error(d)
	}
}

// A vector that cannot be taken from its former holder is unavailable: nobody else gets it.
func TestUnwireFailureMakesUnavailable(t *testing.T) {
	p := &fakePort{counts: [3]uint32{0, 0, 5}}
	b := fakeFunction(t, p, nil)
	v := b.vector("msix", 0)
	g := b.connect(v)
	p.fail = map[string]error{"trigger 2/0": syscall.EIO}
	g.conn.Disconnect(context.Background())
	if s := b.info(v).State; s != irq.StateUnavailable {
		t.Errorf("state %s", s)
	}
}

func TestModeChangesResetFirst(t *testing.T) {
	p := &fakePort{counts: [3]uint32{1, 1, 5}, flags: kernel.VFIONoResize}
	b := fakeFunction(t, p, nil)
	b.connect(b.vector("msix", 0)).disconnect()
	p.took()
	b.connect(b.vector("msi", 0))
	if d := cmp.Diff([]string{"reset", "disable 2", "trigger 1/0 none", "trigger 1/0 fd"}, p.took()); d != "" {
		t.Error(d)
	}
	if e := b.refusal(b.vector("intx", 0)); e.Code != irq.ErrBusy {
		t.Error(e)
	}
	if calls := p.took(); slices.Contains(calls, "disable 1") {
		t.Errorf("the refused one did %q", calls)
	}
}

// A function whose device has left answers 1167, and unwiring it is no error.
func TestLeavingDevice(t *testing.T) {
	p := &fakePort{counts: [3]uint32{0, 0, 5}}
	b := fakeFunction(t, p, nil)
	g := b.connect(b.vector("msix", 0))
	b.source.(*vfio).leave()
	if e := b.refusal(b.vector("msix", 1)); e.Code != irq.ErrNotConnected || e.Reason != irq.ReasonSourceGone {
		t.Error(e)
	}
	p.fail = map[string]error{"trigger": syscall.ENODEV}
	g.disconnect()
	if s := b.info(b.vector("msix", 0)).State; s != irq.StateFree {
		t.Errorf("state %s", s)
	}
	b.source.(*vfio).leave() // twice is once
}

func TestVFIOSettings(t *testing.T) {
	for _, test := range []struct {
		settings map[string]any
		want     string
	}{
		{map[string]any{"interrupts": "msix", "budget": int64(5), "match": map[string]any{"vendor": "8086"}, "unsafe_noiommu": true, "open": "cdev"}, ""},
		{map[string]any{"interrupts": "msi-x"}, "one of auto, msix, msi, intx"},
		{map[string]any{"budget": 0}, "a whole number from 1 to 4096"},
		{map[string]any{"unsafe_noiommu": "yes"}, "true or false"},
		{map[string]any{"budgets": 1}, `"budgets" is unknown`},
	} {
		err := Lookup("pci").(Checker).Check(Config{Name: "pci:x", Settings: test.settings})
		if (test.want == "") != (err == nil) || test.want != "" && !contains(err, test.want) {
			t.Errorf("%v: %v", test.settings, err)
		}
	}
}

// What the holder has not read is known without reading it.
func TestUnreadIsCounted(t *testing.T) {
	b := fakeFunction(t, &fakePort{counts: [3]uint32{0, 0, 5}}, nil)
	g := b.connect(b.vector("msix", 0))
	if err := kernel.WriteEventfd(g.FD, 7); err != nil { // as the kernel does
		t.Fatal(err)
	}
	claim := irq.Claim{Vector: b.vector("msix", 0), Connection: g.conn.ID(), Generation: 1}
	for range 2 {
		if n, err := b.source.(Unreader).Unread(claim); n != 7 || err != nil {
			t.Errorf("unread %d, %v", n, err)
		}
	}
	g.disconnect()
	if _, err := b.source.(Unreader).Unread(claim); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("afterwards: %v", err)
	}
}

// Whatever a key of the kept state says, it names a vector of this source or none.
func FuzzKeptVector(f *testing.F) {
	s := &vfio{config: Config{Name: "pci:0000:00:01.0"}, info: map[string]kernel.VFIOIRQInfo{"msix": {Count: 5}, "intx": {Count: 1}}}
	f.Add(claimKey{irq.Vector{Type: "msix", Index: 3}, "c7", 2}.eventfd())
	f.Add("eventfd/msix/-1/c7/2")
	f.Fuzz(func(t *testing.T, key string) {
		v, ok := s.keptVector(key)
		if ok != (v.Source == s.config.Name) || ok && (v.Index < 0 || v.Index >= int(s.info[v.Type].Count)) {
			t.Errorf("%q: %+v, %t", key, v, ok)
		}
	})
}
