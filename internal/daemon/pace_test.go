package daemon

import (
	"sync"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// TestPace: a user who asks too much waits for itself, and nobody else does.
func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	for range 250 { // what was saved up
		if wait := p.spend(1, 1, 1000, now); wait > 0 {
			t.Fatalf("waits %v within its share", wait)
		}
	}
	if wait := p.spend(1, 10, 1000, now); wait != 10*time.Millisecond {
		t.Errorf("ten calls beyond the share wait %v, want 10ms", wait)
	}
	if wait := p.spend(2, 1, 1000, now); wait > 0 {
		t.Errorf("another user waits %v", wait)
	}
	if wait := p.spend(1, 1, 1000, now.Add(time.Second)); wait > 0 {
		t.Errorf("a second later it still waits %v", wait)
	}
	for uid := range 2 * mostPaced {
		p.spend(uid, 1, 1000, now.Add(time.Hour+time.Duration(uid)*time.Second))
	}
	if len(p.spent) > mostPaced {
		t.Errorf("%d users are remembered", len(p.spent))
	}
}

// TestPacedUser: the policy's number holds for users, not for administrators, and 0 is no limit.
func TestPacedUser(t *testing.T) {
	d := serve(t, "[soft.demo]\nvectors=8\n[limits]\ncalls_per_user=20\n[[allow]]\nvectors=[\"soft:*\"]\nuser=\"*\"\n")
	for range 40 {
		if _, err := d.client.Lookup(t.Context(), "soft:demo/1"); err != nil {
			t.Fatal(err)
		}
	}
	d.pace.mu.Lock()
	administrators := len(d.pace.spent)
	d.pace.mu.Unlock()
	if administrators != 0 {
		t.Error("an administrator is paced")
	}
	guest := startDriver(t, d.socket, asUser(t, 4241, 4242))
	from, calls := time.Now(), 0
	for ; time.Since(from) < 500*time.Millisecond; calls++ {
		guest.do(order{Do: "connect", Vectors: []string{"soft:demo/99"}})
	}
	// Half a second's share, what was saved up, and what one call costs too little; a slow machine makes fewer.
	if calls > 20/2+20/4+3 {
		t.Errorf("%d calls in half a second of a user with 20 a second", calls)
	}
	_, err := d.client.Connect(t.Context(), "soft:demo/99")
	refused(t, err, irq.ErrInvalidParameter)
}

// TestLateCallsTakeTurns: of a user above its share one call is served at a time, in order, and nobody else waits for it.
func TestLateCallsTakeTurns(t *testing.T) {
	var late turns
	first := late.take(1)
	order := make(chan int, 2)
	var waiting sync.WaitGroup
	for n := range 2 {
		waiting.Go(func() {
			done := late.take(1)
			order <- n
			done()
		})
		for users := 0; users < n+2; { // until it waits
			late.mu.Lock()
			users = late.all[1].users
			late.mu.Unlock()
		}
	}
	late.take(2)()
	select {
	case n := <-order:
		t.Errorf("call %d did not wait", n)
	default:
	}
	first()
	waiting.Wait()
	if <-order+<-order != 1 || len(late.all) != 0 {
		t.Errorf("%d users are remembered", len(late.all))
	}
}

// TestLateCallThatWaits: a call that lasts gives its turn back, so that its user's others go on.
func TestLateCallThatWaits(t *testing.T) {
	var p pace
	first := p.take(1)
	p.take(1)()
	first()
	if len(p.late.all) != 0 {
		t.Errorf("%d users are remembered", len(p.late.all))
	}
}
