package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

func TestRule14CountsAndSequencesGoOn(t *testing.T) {
	r := start(t, demo)
	d := r.driver()
	d.connect("soft:demo/3")
	var last word
	for round := range uint64(4) {
		r.raise("soft:demo/3", 5)
		i := d.interrupt()
		if i.Arrived != 5*(round+1) || i.Sequence <= last.Sequence {
			t.Fatalf("round %d: %+v after %+v", round, i, last)
		}
		last = i
		r.killWorker()
		d.rung()
		if i := r.info("soft:demo/3"); i.Arrived != 5*(round+1) || i.Taken != i.Arrived {
			t.Fatalf("round %d: arrived %d, taken %d", round, i.Arrived, i.Taken)
		}
	}
	d.do(word{Do: "disconnect"})
	r.killWorker()
	if i := r.info("soft:demo/3"); i.Arrived != 20 || i.Taken != 20 {
		t.Fatalf("after its last holder: arrived %d, taken %d", i.Arrived, i.Taken)
	}
	d.connect("soft:demo/3")
	r.raise("soft:demo/3", 2)
	d.interrupt()
	r.killWorker()
	if i := r.info("soft:demo/3"); i.Arrived != 22 {
		t.Fatalf("with the next holder: arrived %d", i.Arrived)
	}
}

func TestRule14EveryKindOfConnectionSurvives(t *testing.T) {
	r := start(t, demo)
	exclusive, one, two, masked, many := r.driver(), r.driver(), r.driver(), r.driver(), r.driver()
	exclusive.connect("soft:demo/1")
	one.do(word{Do: "connect", Vectors: []string{"soft:demo/2"}, Shared: true})
	two.do(word{Do: "connect", Vectors: []string{"soft:demo/2"}, Shared: true})
	masked.connect("soft:demo/3")
	masked.do(word{Do: "mask"})
	var names []string
	for n := 20; n < 60; n++ { // its record is longer than a slot
		names = append(names, fmt.Sprintf("soft:demo/%d", n))
	}
	many.connect(names...)
	for range 3 {
		before, after := r.killWorker()
		if after.Connections != 5 || after.Sequence < before.Sequence {
			t.Fatalf("%d connections (%d before), event %d after %d", after.Connections, before.Connections, after.Sequence, before.Sequence)
		}
		for _, d := range []*drv{exclusive, one, two, many} {
			d.rung()
		}
	}
	r.heldBy("soft:demo/1", exclusive)
	r.heldBy("soft:demo/47", many)
	if i := r.info("soft:demo/2"); len(i.Holders) != 2 {
		t.Errorf("shared by %v", i.Holders)
	}
	if !r.info("soft:demo/3").Masked {
		t.Error("no longer masked")
	}
	r.raise("soft:demo/3", 1)
	r.raise("soft:demo/2", 1)
	one.interrupt()
	two.interrupt()
	masked.do(word{Do: "unmask"})
	masked.interrupt()
	if _, err := r.client().Connect(limit(t), "soft:demo/47"); !errors.Is(err, irq.ErrAlreadyConnected) {
		t.Errorf("a second holder: %v", err)
	}
}

func TestRule14OrphanResumesAcrossTheRestart(t *testing.T) {
	r := start(t, demo)
	d := r.driver()
	c := d.do(word{Do: "connect", Vectors: []string{"soft:demo/3"}, Grace: time.Minute})
	d.kill()
	r.untilStatus(func(s ivt.Status) bool { return s.Orphans == 1 })
	if _, after := r.killWorker(); after.Orphans != 1 {
		t.Fatalf("%d orphans", after.Orphans)
	}
	if _, err := r.client().Connect(limit(t), "soft:demo/3"); !errors.Is(err, irq.ErrAlreadyConnected) && !errors.Is(err, irq.ErrStillConnected) {
		t.Errorf("somebody else during the grace: %v", err)
	}
	heir := r.driver()
	heir.do(word{Do: "resume", Connection: c.Connection, Token: c.Token})
	heir.rung()
	r.killWorker()
	heir.rung()
	r.heldBy("soft:demo/3", heir)
}

func TestRule14WhoDiedMeanwhileIsReleased(t *testing.T) {
	r := start(t, demo)
	gone, stays, grace := r.driver(), r.driver(), r.driver()
	gone.connect("soft:demo/3")
	stays.connect("soft:demo/4")
	grace.do(word{Do: "connect", Vectors: []string{"soft:demo/5"}, Grace: time.Minute})
	before := r.status()
	// While the worker is stopped it sees nobody die; then it is killed without having run again.
	r.stop(before.PID)
	gone.kill()
	grace.kill()
	syscall.Kill(before.PID, syscall.SIGKILL)
	r.untilStatus(func(s ivt.Status) bool { return s.PID != before.PID })
	r.heldBy("soft:demo/4", stays)
	if s := r.status(); s.Connections != 2 || s.Orphans != 1 {
		t.Errorf("%d connections, %d orphans", s.Connections, s.Orphans)
	}
	died, events := false, []string{}
	for e, err := range r.client().History(limit(t), "soft:demo/3", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		died = died || e.Kind == irq.EventDisconnected && strings.Contains(e.Detail, "is gone") && e.Holder.PID == gone.pid()
		events = append(events, fmt.Sprintf("%s %s %s", e.Kind, e.Reason, e.Detail))
	}
	if !died {
		t.Errorf("history does not say that the holder died: %q", events)
	}
	r.connect("soft:demo/3")
}

func TestRule10SuccessorAndQueueSurvive(t *testing.T) {
	r := start(t, demo)
	holder, first, named := r.driver(), r.driver(), r.driver()
	holder.connect("soft:demo/3")
	first.say(word{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
	r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 1 })
	named.say(word{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
	r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 2 })
	holder.do(word{Do: "successor", PID: named.pid()})
	r.killWorker()
	r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 2 })
	holder.kill()
	if a := named.hear(); a.Failure != "" {
		t.Fatal(a.Failure)
	}
	r.heldBy("soft:demo/3", named)
	r.killWorker()
	r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 1 })
	named.do(word{Do: "disconnect"})
	if a := first.hear(); a.Failure != "" {
		t.Fatal(a.Failure)
	}
	r.heldBy("soft:demo/3", first)
}

// TestRule10OrderSurvives: four processes wait, the worker is killed while they do, and they go in the order in which they came.
func TestRule10OrderSurvives(t *testing.T) {
	r := start(t, demo)
	holder := r.driver()
	holder.connect("soft:demo/3")
	var queue []*drv
	for n := range 4 {
		d := r.driver()
		d.say(word{Do: "connect", Vectors: []string{"soft:demo/3"}, Wait: true})
		r.untilStatus(func(s ivt.Status) bool { return s.Waiting == n+1 })
		queue = append(queue, d)
	}
	r.killWorker()
	r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 4 })
	for n, d := range queue {
		holder.kill()
		if a := d.hear(); a.Failure != "" {
			t.Fatalf("%d: %s", n, a.Failure)
		}
		r.heldBy("soft:demo/3", d)
		holder = d
	}
}

func TestKeeperDeathHangsUpEveryLifeline(t *testing.T) {
	r := start(t, demo)
	var all []*drv
	for n := range 3 {
		d := r.driver()
		d.connect(fmt.Sprintf("soft:demo/%d", n))
		d.say(word{Do: "wait"})
		all = append(all, d)
	}
	r.Process.Kill()
	for _, d := range all {
		if a := d.hear(); !strings.Contains(a.Failure, "1167") {
			t.Errorf("got %+v", a)
		}
	}
}

func TestKeeperUpgradeKeepsEverything(t *testing.T) {
	r := start(t, demo)
	d := r.driver()
	d.connect("soft:demo/3")
	for range 3 {
		before := r.status()
		r.Process.Signal(syscall.SIGUSR2)
		r.untilStatus(func(s ivt.Status) bool { return s.PID != before.PID })
		d.rung()
		r.heldBy("soft:demo/3", d)
		r.raise("soft:demo/3", 1)
		d.interrupt()
		if now := r.status(); now.Instance != before.Instance {
			t.Fatal("another registry")
		}
	}
}
