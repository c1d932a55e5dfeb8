package main

import (
	"syscall"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// lifelineOf connects, and returns the lifeline's descriptor: its holder is this process, which stays alive.
func (r *running) lifelineOf(vector string) int {
	r.t.Helper()
	session, err := varlink.Dial(limit(r.t), r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { session.Close() })
	var out api.ConnectOut
	d, err := session.CallDescriptors(limit(r.t), api.Name+".Connect", api.ConnectIn{Vectors: []string{vector}}, &out)
	if err != nil {
		r.t.Fatal(err)
	}
	lifeline := -1
	for i := range d.Len() {
		fd, err := d.Take(i)
		if err != nil {
			r.t.Fatal(err)
		}
		if i == *out.Lifeline {
			lifeline = fd
		} else {
			r.t.Cleanup(func() { syscall.Close(fd) })
		}
	}
	return lifeline
}

// TestRule6LifelinesEndItAcrossKills: who hung up while no worker ran is let go, and a lifeline that hangs up after it ends its
// connection as before, whether the next worker has come to it yet or not.
func TestRule6LifelinesEndItAcrossKills(t *testing.T) {
	r := start(t, demo)
	meanwhile, atOnce, later := r.lifelineOf("soft:demo/1"), r.lifelineOf("soft:demo/2"), r.lifelineOf("soft:demo/3")
	stays := r.lifelineOf("soft:demo/4")
	defer syscall.Close(stays)
	before := r.status()
	r.stop(before.PID)
	syscall.Close(meanwhile)
	syscall.Kill(before.PID, syscall.SIGKILL)
	syscall.Close(atOnce)
	r.untilStatus(func(s ivt.Status) bool { return s.PID != before.PID })
	r.untilStatus(func(s ivt.Status) bool { return s.Connections == 2 })
	r.killWorker()
	syscall.Close(later)
	r.untilStatus(func(s ivt.Status) bool { return s.Connections == 1 })
	for vector, want := range map[string]irq.State{"soft:demo/1": irq.StateFree, "soft:demo/2": irq.StateFree, "soft:demo/3": irq.StateFree, "soft:demo/4": irq.StateConnected} {
		if got := r.info(vector).State; got != want {
			t.Errorf("%s is %s, want %s", vector, got, want)
		}
	}
}
