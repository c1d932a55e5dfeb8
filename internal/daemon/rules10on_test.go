package daemon

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// TestRule10WaitingIsFair: first come, first served, across processes; a deadline and a hang-up end it.
func TestRule10WaitingIsFair(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	holder.connect("soft:demo/3")
	queue := []*driverProcess{d.driver(), d.driver(), d.driver()}
	for i, w := range queue {
		w.begin(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
		eventually(t, "it waits", func() bool { return d.info("soft:demo/3").Waiting == i+1 })
	}
	_, err := d.client.Connect(t.Context(), "soft:demo/3", ivt.WaitFor(time.Millisecond))
	if e := refused(t, err, irq.ErrTimeout); len(e.Conflicts) == 0 {
		t.Errorf("a wait that ended does not say who was in the way: %+v", e)
	}
	queue[1].kill() // dies while it waits
	eventually(t, "it waits no more", func() bool { return d.info("soft:demo/3").Waiting == 2 })
	holder.kill()
	for _, w := range []*driverProcess{queue[0], queue[2]} {
		if _, refusal := w.answer(); refusal != nil {
			t.Fatal(refusal)
		}
		if h := d.info("soft:demo/3").Holders; len(h) != 1 || h[0].PID != w.pid() {
			t.Fatalf("held by %v, want pid %d", h, w.pid())
		}
		w.kill()
	}
}

// TestRule10Successor: whom the holder names goes first.
func TestRule10Successor(t *testing.T) {
	d := serve(t, "")
	c := d.connect("soft:demo/3")
	early, heir := d.driver(), d.driver()
	for i, w := range []*driverProcess{early, heir} {
		w.begin(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
		eventually(t, "it waits", func() bool { return d.info("soft:demo/3").Waiting == i+1 })
	}
	if err := c.SetSuccessor(t.Context(), heir.pid()); err != nil {
		t.Fatal(err)
	}
	if err := c.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, refusal := heir.answer(); refusal != nil {
		t.Fatal(refusal)
	}
}

// TestRule12ASourceDoesNotLeaveUnderItsUsers.
func TestRule12ASourceDoesNotLeaveUnderItsUsers(t *testing.T) {
	d := serve(t, "")
	notices := make(chan ivt.Notice, 4)
	c := d.connect("soft:demo/3", ivt.OnNotice(func(n ivt.Notice) { notices <- n }))
	done := c.Done()
	if e := refused(t, d.client.Detach(t.Context(), "soft:demo", false), irq.ErrStillConnected); len(e.Conflicts) != 1 || e.Conflicts[0].Vector.Index != 3 {
		t.Errorf("who is connected is not listed: %+v", e)
	}
	if err := d.client.Detach(t.Context(), "soft:demo", true); err != nil {
		t.Fatal(err)
	}
	<-done
	if e := refused(t, c.Err(), irq.ErrNotConnected); e.Reason != irq.ReasonSourceGone {
		t.Errorf("reason %s", e.Reason)
	}
	if n := <-notices; !n.Over || n.Reason != irq.ReasonSourceGone {
		t.Errorf("notice %+v", n)
	}
	_, err := d.client.Connect(t.Context(), "soft:demo/3")
	refused(t, err, irq.ErrNoSuchDevice)
}

// TestRule12RevokeTellsTheDeadline.
func TestRule12RevokeTellsTheDeadline(t *testing.T) {
	d := serve(t, "")
	notices := make(chan ivt.Notice, 4)
	c := d.connect("soft:demo/3", ivt.OnNotice(func(n ivt.Notice) { notices <- n }))
	done := c.Done()
	if err := d.client.Revoke(t.Context(), c.ID(), time.Second, "maintenance"); err != nil {
		t.Fatal(err)
	}
	if n := <-notices; n.Over || n.Deadline.IsZero() || n.Detail != "maintenance" {
		t.Errorf("notice %+v", n)
	}
	<-done
	if n := <-notices; !n.Over || n.Reason != irq.ReasonRevoked {
		t.Errorf("notice %+v", n)
	}
	refused(t, c.Err(), irq.ErrNotConnected)
}

// TestRule13History: who held it, and who was refused, can be asked afterwards.
func TestRule13History(t *testing.T) {
	d := serve(t, "")
	holder, other := d.driver(), d.driver()
	holder.connect("soft:demo/3")
	other.connect("soft:demo/4")
	_, refusal := other.do(order{Do: "connect", Vectors: []string{"soft:demo/3"}})
	refused(t, refusal, irq.ErrAlreadyConnected)
	holder.kill()
	d.becomes("soft:demo/3", irq.StateFree)
	type line struct {
		Kind   irq.EventKind
		PID    int
		Refuse irq.Code
	}
	var got []line
	for e, err := range d.client.History(t.Context(), "soft:demo/3", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Vector.IsZero() {
			continue // of the whole source
		}
		l := line{Kind: e.Kind, PID: e.Holder.PID}
		if e.Refused != nil {
			l.Refuse = e.Refused.Code
		}
		got = append(got, l)
	}
	want := []line{{irq.EventConnected, holder.pid(), 0}, {irq.EventRefused, other.pid(), irq.ErrAlreadyConnected}, {irq.EventDisconnected, holder.pid(), 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
