package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// A word is what a driver process is told and answers, one JSON object a line.
type word struct {
	Do, Vector, Connection, Token string        `json:",omitempty"`
	Vectors                       []string      `json:",omitempty"`
	Shared, Wait                  bool          `json:",omitempty"`
	Grace                         time.Duration `json:",omitempty"`
	PID                           int           `json:",omitempty"`
	Count, Sequence, Arrived      uint64        `json:",omitempty"`
	Rang                          bool          `json:",omitempty"`
	Failure                       string        `json:",omitempty"`
}

// drive is a driver process.
func drive() {
	client, err := ivt.NewClient()
	if err != nil {
		panic(err)
	}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var c *ivt.Connection
	for {
		var w word
		if in.Decode(&w) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		a, err := obey(ctx, client, &c, w)
		cancel()
		if err != nil {
			a.Failure = err.Error()
		}
		out.Encode(a)
	}
}

func obey(ctx context.Context, client *ivt.Client, c **ivt.Connection, w word) (a word, err error) {
	switch w.Do {
	case "connect":
		options := []ivt.Option{ivt.Grace(w.Grace)}
		if w.Shared {
			options = append(options, ivt.Shared())
		}
		if w.Wait {
			options = append(options, ivt.Wait())
		}
		*c, err = client.ConnectAll(ctx, w.Vectors, options...)
	case "resume":
		*c, err = client.Resume(ctx, w.Connection, w.Token)
	case "wait":
		i, err := (*c).Wait(ctx)
		return word{Vector: i.Vector.String(), Count: i.Count, Sequence: i.Sequence, Arrived: i.Arrived, Rang: i.Rang}, err
	case "storm":
		return storm(ctx, client, *c)
	case "mask":
		return a, (*c).Mask(ctx, (*c).Vectors()[0])
	case "unmask":
		return a, (*c).Unmask(ctx, (*c).Vectors()[0])
	case "successor":
		return a, (*c).SetSuccessor(ctx, w.PID)
	case "disconnect":
		return a, (*c).Disconnect(ctx)
	}
	if err == nil {
		a = word{Connection: (*c).ID(), Token: (*c).Token()}
	}
	return a, err
}

// A drv is the test's end of a driver process.
type drv struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

func (r *running) driver() *drv {
	r.t.Helper()
	d := &drv{t: r.t, cmd: exec.Command("/proc/self/exe")}
	d.cmd.Env = append(os.Environ(), "IVTD_TEST_DRIVER=1", "IVT_SOCKET="+r.socket)
	d.cmd.Stderr = os.Stderr
	stdin, err := d.cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	d.in, d.out = json.NewEncoder(stdin), json.NewDecoder(stdout)
	if err := d.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(d.kill)
	return d
}

func (d *drv) pid() int { return d.cmd.Process.Pid }

func (d *drv) kill() {
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

func (d *drv) say(w word) {
	d.t.Helper()
	if err := d.in.Encode(w); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drv) hear() word {
	d.t.Helper()
	var a word
	if err := d.out.Decode(&a); err != nil {
		d.t.Fatalf("driver %d: %v", d.pid(), err)
	}
	return a
}

// do must succeed.
func (d *drv) do(w word) word {
	d.t.Helper()
	d.say(w)
	a := d.hear()
	if a.Failure != "" {
		d.t.Fatalf("%s: %s", w.Do, a.Failure)
	}
	return a
}

func (d *drv) connect(vectors ...string) word {
	d.t.Helper()
	return d.do(word{Do: "connect", Vectors: vectors})
}

// interrupt waits for one that is not a ring.
func (d *drv) interrupt() word {
	d.t.Helper()
	for {
		if a := d.do(word{Do: "wait"}); a.Count > 0 {
			return a
		}
	}
}

// rung waits for the ring that follows a restart (rule 9).
func (d *drv) rung() {
	d.t.Helper()
	for a := d.do(word{Do: "wait"}); !a.Rang; a = d.do(word{Do: "wait"}) {
	}
}

func (r *running) raise(vector string, n uint64) {
	r.t.Helper()
	if err := r.client().Raise(limit(r.t), vector, n); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) info(vector string) irq.Info {
	r.t.Helper()
	i, err := r.client().Lookup(limit(r.t), vector)
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r *running) heldBy(vector string, d *drv) {
	r.t.Helper()
	if i := r.info(vector); len(i.Holders) != 1 || i.Holders[0].PID != d.pid() {
		r.t.Fatalf("%s is held by %v, not by %d", vector, i.Holders, d.pid())
	}
}

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
