package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// orphan is a connection whose process was killed.
func (r *running) orphan(vector string) word {
	r.t.Helper()
	d := r.driver()
	c := d.do(word{Do: "connect", Vectors: []string{vector}, Grace: 10 * time.Minute})
	d.kill()
	r.untilStatus(func(s ivt.Status) bool { return s.Orphans == 1 })
	return c
}

// left is how long an orphan's grace still is.
func (r *running) left(vector string) time.Duration {
	r.t.Helper()
	i := r.info(vector)
	if i.State != irq.StateOrphaned || len(i.Holders) != 1 {
		r.t.Fatalf("%s is %s, held by %v", vector, i.State, i.Holders)
	}
	return i.Holders[0].Left
}

// TestRule14ResumptionWithoutAnAnswer: the worker is killed when the next generation is kept and its answer is not written yet.
// The connection is the orphan again that it was, for the rest of its grace, and the same token resumes it.
func TestRule14ResumptionWithoutAnAnswer(t *testing.T) {
	r := start(t, demo)
	c := r.orphan("soft:demo/3")
	for range 3 {
		left := r.left("soft:demo/3")
		before := r.status()
		conn, err := net.Dial("unix", r.socket)
		if err != nil {
			t.Fatal(err)
		}
		// An answer with descriptors waits until everything before it was read.
		fmt.Fprintf(conn, "{\"method\":\"org.varlink.service.GetInfo\"}\x00"+
			"{\"method\":\"io.ivtd.interrupts.Resume\",\"parameters\":{\"connection\":%q,\"resumeToken\":%q}}\x00", c.Connection, c.Token)
		watcher := r.client()
		for ctx := limit(t); ; {
			i, err := watcher.Lookup(ctx, "soft:demo/3")
			if err != nil {
				t.Fatal(err)
			}
			if i.State == irq.StateConnected && i.Holders[0].PID == os.Getpid() {
				break
			}
		}
		syscall.Kill(before.PID, syscall.SIGKILL)
		r.untilStatus(func(s ivt.Status) bool { return s.PID != before.PID })
		if now := r.left("soft:demo/3"); now > left {
			t.Fatalf("the grace grew from %v to %v", left, now)
		}
		conn.Close()
	}
	heir := r.driver()
	heir.do(word{Do: "resume", Connection: c.Connection, Token: c.Token})
	r.killWorker()
	r.heldBy("soft:demo/3", heir)
	heir.rung()
}

// TestRule14ResumeDuringKills: whenever during a resumption the worker is killed, the driver has its connection afterwards.
func TestRule14ResumeDuringKills(t *testing.T) {
	r := start(t, demo)
	c := r.orphan("soft:demo/3")
	for n := range 8 {
		heir, before := r.driver(), r.status()
		heir.say(word{Do: "resume", Connection: c.Connection, Token: c.Token})
		time.Sleep(rand.N(3 * time.Millisecond)) // any moment, not a certain one
		syscall.Kill(before.PID, syscall.SIGKILL)
		if c = heir.hear(); c.Failure != "" {
			t.Fatalf("kill %d: %s", n, c.Failure)
		}
		r.untilStatus(func(s ivt.Status) bool { return s.PID != before.PID })
		r.heldBy("soft:demo/3", heir)
		r.raise("soft:demo/3", 1)
		heir.interrupt()
		heir.kill()
		r.untilStatus(func(s ivt.Status) bool { return s.Orphans == 1 })
	}
}
