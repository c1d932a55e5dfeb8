//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/vm/guest"
)

// chipOf makes a simulated chip and opens it as a source.
func openChip(t *testing.T, settings map[string]any, lines ...guest.GPIOLine) (*bench, *guest.GPIOChip) {
	t.Helper()
	guest.Require(t)
	chip := guest.NewGPIOChip(t, lines...)
	return openSource(t, Config{Name: "gpio:" + chip.Name, Settings: settings}), chip
}

func (b *bench) lineVector(i int) irq.Vector { return irq.Vector{Source: b.attached.Name(), Index: i} }

var fourLines = make([]guest.GPIOLine, 4)

// Each edge is a record with the kernel's own time and its direction, for each of several holders.
func TestVMGPIOEdgesToSharers(t *testing.T) {
	asBefore(t)
	b, chip := openChip(t, nil, fourLines...)
	one, two := b.connect(b.lineVector(2), share), b.connect(b.lineVector(2), share)
	last := int64(0)
	for i := range uint64(20) {
		chip.Pull(t, 2, i%2 == 0)
		for _, g := range []*grip{one, two} {
			r := g.next()
			if r.Sequence != i+1 || r.Count != 1 || r.Data != i%2+1 || r.Lost != 0 || r.Time < last || r.Time > kernel.Monotonic() {
				t.Errorf("edge %d: %+v", i+1, r)
			}
			last = r.Time
		}
	}
	two.disconnect()
	chip.Pull(t, 2, true)
	one.next()
	one.disconnect()
	if c := consumerOf(t, b, 2); c != "" {
		t.Errorf("afterwards the line has the consumer %q", c)
	}
}

func consumerOf(t *testing.T, b *bench, line int) string {
	t.Helper()
	info, err := kernel.GetGPIOLine(b.source.(*gpio).chip, line)
	if err != nil {
		t.Fatal(err)
	}
	return info.Consumer
}

func TestVMGPIOConsumerSaysWho(t *testing.T) {
	asBefore(t)
	b, _ := openChip(t, nil, fourLines...)
	g := b.connect(b.lineVector(0), func(q *irq.Request) {
		q.Holder = irq.Holder{Kind: irq.HolderProcess, PID: 4711, Label: "door \x1b[31mbell@home with a long name"}
	})
	if c := consumerOf(t, b, 0); c != "ivtd:door--[31mbell-home-w@4711" {
		t.Errorf("consumer %q", c)
	}
	g.disconnect()
}

// What the kernel drops because its ring was full is told with its size.
func TestVMGPIOLossIsCounted(t *testing.T) {
	asBefore(t)
	b, chip := openChip(t, map[string]any{"ring": int64(16)}, fourLines...)
	g := b.connect(b.lineVector(1))
	chip.Pull(t, 1, true)
	g.next()
	line := b.source.(*gpio).lines[1]
	line.mu.Lock() // the relay waits here, as when the machine is too busy for it
	for i := range 500 {
		chip.Pull(t, 1, i%2 == 1)
	}
	line.mu.Unlock()
	var count, lost, told uint64
	for count < 16 || 1+count+lost != line.last.Load() { // the kernel may add the last edges while its ring is read
		r := g.next()
		count, lost = count+r.Count, lost+r.Lost
		if r.Lost > 0 {
			told++
		}
	}
	if lost == 0 || told == 0 {
		t.Errorf("%d edges came, %d were lost (told %d times)", count, lost, told)
	}
}

func TestVMGPIOSettings(t *testing.T) {
	asBefore(t)
	for _, test := range []struct {
		settings map[string]any
		want     []uint64 // the data of: high, low, high; 0 if there is no edge
	}{
		{map[string]any{"edges": "rising"}, []uint64{1, 0, 1}},
		{map[string]any{"edges": "falling"}, []uint64{0, 2, 0}},
		{map[string]any{"active_low": true}, []uint64{2, 1, 2}},
		{map[string]any{"bias": "pull-down"}, []uint64{1, 2, 1}},
	} {
		t.Run(fmt.Sprint(test.settings), func(t *testing.T) {
			asBefore(t)
			b, chip := openChip(t, test.settings, fourLines...)
			g := b.connect(b.lineVector(3))
			for i, high := range []bool{true, false, true} {
				chip.Pull(t, 3, high)
				if want := test.want[i]; want != 0 {
					if r := g.next(); r.Data != want {
						t.Errorf("got %+v, want %d", r, want)
					}
				}
			}
			g.none()
		})
	}
}

// Edges that follow each other faster than the debounce time are one.
func TestVMGPIODebounce(t *testing.T) {
	asBefore(t)
	const debounce = 1500 * time.Millisecond
	b, chip := openChip(t, map[string]any{"debounce": debounce.String()}, fourLines...)
	g := b.connect(b.lineVector(0))
	for high := true; ; high = !high {
		start := time.Now()
		for i := range 7 {
			chip.Pull(t, 0, high == (i%2 == 0))
		}
		took := time.Since(start)
		want := uint64(2)
		if high {
			want = 1
		}
		if r := g.next(); took > debounce {
			continue // the machine was too busy to bounce that fast
		} else if r.Data != want || r.Count != 1 || r.Lost != 0 {
			t.Errorf("seven edges in %v gave %+v, want one with data %d", took, r, want)
		}
		g.none()
		if !high {
			return
		}
	}
}

func TestVMGPIORefusals(t *testing.T) {
	asBefore(t)
	b, chip := openChip(t, nil, guest.GPIOLine{}, guest.GPIOLine{Name: "led", Hog: "the-led"}, guest.GPIOLine{}, guest.GPIOLine{})
	connect := func(line int) *irq.Error {
		t.Helper()
		var e *irq.Error
		c, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{b.lineVector(line)}})
		if err == nil {
			c.Disconnect(context.Background())
			t.Fatal("connected")
		}
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		return e
	}
	if e := connect(4); e.Code != irq.ErrInvalidParameter || e.Reason != irq.ReasonOutOfRange {
		t.Errorf("out of range: %v", e)
	}
	if e := connect(1); e.Code != irq.ErrAlreadyConnected || !strings.Contains(e.Error(), "the-led") {
		t.Errorf("hogged: %v", e)
	}
	_, err := b.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{b.lineVector(2)}, Access: irq.AccessDevice})
	if !errors.Is(err, irq.ErrNotSupported) {
		t.Errorf("a device grant: %v", err)
	}
	if c := consumerOf(t, b, 2); c != "" {
		t.Errorf("the refused line has the consumer %q", c)
	}
	fd, err := kernel.OpenDevice("/dev/"+chip.Name, 0)
	if err != nil {
		t.Fatal(err)
	}
	line, err := kernel.RequestGPIO(fd, kernel.GPIORequest{Offset: 2, Consumer: "somebody", Flags: kernel.GPIOInput})
	if err != nil {
		t.Fatal(err)
	}
	e := connect(2)
	if e.Code != irq.ErrAlreadyConnected || e.Reason != irq.ReasonForeignHolds || !strings.Contains(e.Conflicts[0].Holders[0].Label, `"somebody"`) {
		t.Errorf("somebody has it: %v", e)
	}
	closeAll([]int{line, fd})
	b.connect(b.lineVector(2)).disconnect()
	refused(t, Config{Name: "gpio:gpiochip99"}, irq.ErrNoSuchDevice)
	refused(t, Config{Name: "gpio:../mem"}, irq.ErrNoSuchDevice)
}

// Over a restart the line stays requested; edges that came meanwhile are delivered, with their times, and what the ring could not hold is
// told with its size, by the kernel's own numbers. (The kernel itself makes one of edges that follow too close.)
func TestVMGPIOAdoption(t *testing.T) {
	asBefore(t)
	guest.Require(t)
	chip := guest.NewGPIOChip(t, fourLines...)
	c := Config{Name: "gpio:" + chip.Name, Keep: newMemoryKeep(t), Settings: map[string]any{"ring": 16}}
	b := openSource(t, c)
	g := b.connect(b.lineVector(0))
	chip.Pull(t, 0, true)
	g.next()
	instance, record := b.attached.Instance(), g.conn.Record()
	b.die()
	for i := range 500 {
		chip.Pull(t, 0, i%2 == 1)
	}
	b.registry = irq.New(irq.Config{})
	b.attach(c)
	if _, err := b.registry.Adopt(irq.AdoptSpec{Record: record, Wire: b.source.Adopt}); err != nil {
		t.Fatal(err)
	}
	last := b.source.(*gpio).lines[0].last // the number of the latest edge that was read
	var count, lost uint64
	for {
		r := g.next()
		count, lost = count+r.Count, lost+r.Lost
		if count >= 16 && 1+count+lost == last.Load() {
			break
		}
	}
	if lost == 0 {
		t.Errorf("%d edges came and %d were lost", count, lost)
	}
	if b.attached.Instance() != instance {
		t.Errorf("instance %s is now %s", instance, b.attached.Instance())
	}
}

func TestVMGPIOChipIsFound(t *testing.T) {
	guest.Require(t)
	chip := guest.NewGPIOChip(t, fourLines...)
	found, err := Lookup("gpio").Discover(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Name == "gpio:"+chip.Name {
			if f.Attrs["label"] != chip.Label || f.Path == "" || f.Note != "" {
				t.Errorf("found %+v, want label %s", f, chip.Label)
			}
			return
		}
	}
	t.Errorf("%s is not among %+v", chip.Name, found)
}
