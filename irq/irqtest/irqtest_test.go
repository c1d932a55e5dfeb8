package irqtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/irq/irqtest"
)

// A nic is a driver under test: it connects one vector, and connects again when it is thrown out.
type nic struct {
	r       *irq.Registry
	v       irq.Vector
	c       *irq.Connection
	frames  int
	refused error
	told    []irq.Notice
}

func (n *nic) start() {
	n.c, n.refused = n.r.Connect(context.Background(), irq.Request{
		Vectors: []irq.Vector{n.v}, Grace: time.Minute,
		Handler:  func(i irq.Interrupt) irq.Verdict { n.frames++; return irq.Handled },
		OnNotice: func(m irq.Notice) { n.told = append(n.told, m) },
	})
}

func start(t *testing.T) (*irqtest.Bench, *nic) {
	b := irqtest.New(t)
	n := &nic{r: b.Registry, v: b.Vector(3)}
	n.start()
	if n.refused != nil {
		t.Fatal(n.refused)
	}
	return b, n
}

func TestTheDriverIsServed(t *testing.T) {
	b, n := start(t)
	b.Raise(n.v, 5)
	if n.frames != 5 {
		t.Errorf("%d frames", n.frames)
	}
}

func TestTheDriverIsRefused(t *testing.T) {
	b := irqtest.New(t)
	n := &nic{r: b.Registry, v: b.Vector(3)}
	b.RefuseNext(irq.ErrAlreadyConnected, irq.Holder{Kind: irq.HolderKernel, Driver: "e1000e"})
	n.start()
	var e *irq.Error
	if !errors.Is(n.refused, irq.ErrAlreadyConnected) || !errors.As(n.refused, &e) || e.Conflicts[0].Holders[0].Driver != "e1000e" || e.Conflicts[0].Vector != n.v {
		t.Errorf("%v", n.refused)
	}
	if n.start(); n.refused != nil { // only the next one
		t.Error(n.refused)
	}
	for _, code := range irq.Codes() {
		b := irqtest.New(t)
		b.RefuseNext(code)
		n := &nic{r: b.Registry, v: b.Vector(3)}
		if n.start(); !errors.Is(n.refused, code) {
			t.Errorf("%v is not %v", n.refused, code)
		}
	}
}

func TestTheDriverIsRestarted(t *testing.T) {
	b, n := start(t)
	b.Raise(n.v, 1)
	b.Die(n.v)
	b.Raise(n.v, 2) // nobody is there
	if i, _ := b.Lookup(n.v); i.State != irq.StateOrphaned || n.frames != 1 {
		t.Error(i.State, n.frames)
	}
	b.Advance(time.Minute)
	if i, _ := b.Lookup(n.v); i.State != irq.StateFree {
		t.Error(i.State)
	}
	if n.start(); n.refused != nil {
		t.Fatal(n.refused)
	}
	b.Settle()
	frames := n.frames
	b.Restart(n.v)
	if n.c.Generation() != 2 || n.frames != frames+1 { // rung
		t.Error(n.c.Generation(), n.frames)
	}
}

func TestTheDriverIsRevoked(t *testing.T) {
	b, n := start(t)
	b.Revoke(n.v, time.Second)
	if len(n.told) != 1 || n.told[0].Deadline.IsZero() {
		t.Errorf("%+v", n.told)
	}
	b.Advance(time.Second)
	if len(n.told) != 2 || n.told[1].Err == nil || n.told[1].Reason != irq.ReasonRevoked {
		t.Errorf("%+v", n.told)
	}
}

func TestTheDeviceIsUnplugged(t *testing.T) {
	b, n := start(t)
	b.Unplug()
	if len(n.told) != 1 || n.told[0].Reason != irq.ReasonSourceGone {
		t.Errorf("%+v", n.told)
	}
	if n.start(); !errors.Is(n.refused, irq.ErrNoSuchDevice) {
		t.Error(n.refused)
	}
}

func TestAStormIsSuppressed(t *testing.T) {
	b := irqtest.New(t)
	v := b.Vector(0)
	_, err := b.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}, Handler: func(irq.Interrupt) irq.Verdict { return irq.Unhandled }})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Storm(v) {
		t.Fatal("not suppressed")
	}
	b.Advance(50 * time.Millisecond)
	if i, _ := b.Lookup(v); i.Storm {
		t.Error("not tried again")
	}
	_, n := start(t)
	if b, _ := start(t); b.Storm(n.v) {
		t.Error("a productive driver is suppressed")
	}
}

func TestALateAcknowledgement(t *testing.T) {
	b := irqtest.New(t, irq.Group{Type: "intx", Count: 1, Trigger: irq.TriggerLevel, Shareable: true})
	v := b.Vector(0)
	late, prompt := &irqtest.Late{}, 0
	share := func(h irq.Handler) *irq.Connection {
		c, err := b.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{v}, Shared: true, Handler: h})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := share(late.Handler)
	share(func(irq.Interrupt) irq.Verdict { prompt++; return irq.Handled })
	b.Raise(v, 2)
	if len(late.Owed()) != 1 || prompt != 1 {
		t.Errorf("masked, yet %d and %d were delivered", len(late.Owed()), prompt)
	}
	if err := late.Acknowledge(c, true); err != nil {
		t.Fatal(err)
	}
	b.Settle()
	if prompt != 2 {
		t.Error("not let through after the acknowledgement")
	}
	b.Advance(10 * time.Second) // the second is never acknowledged
	if c.Err() == nil || prompt != 2 {
		t.Error("who mutes the others is not revoked")
	}
}

func TestTheClockCallsInOrderAndCanBeStopped(t *testing.T) {
	c := irqtest.NewClock(time.Time{})
	start := c.Now()
	var got []time.Duration
	at := func(d time.Duration) func() bool {
		return c.AfterFunc(d, func() {
			got = append(got, c.Now().Sub(start))
			if d == time.Second {
				c.AfterFunc(time.Second, func() { got = append(got, -1) })
			}
		})
	}
	at(3 * time.Second)
	at(time.Second)
	stop := at(2 * time.Second)
	at(0)
	if !stop() || stop() {
		t.Error("stop")
	}
	c.Advance(2 * time.Second)
	c.Advance(0)
	want := []time.Duration{0, time.Second, -1}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || c.Pending() != 1 {
		t.Error(got, c.Pending())
	}
	c.Advance(time.Hour)
	if len(got) != 4 || c.Now() != start.Add(time.Hour+2*time.Second) {
		t.Error(got, c.Now())
	}
}
