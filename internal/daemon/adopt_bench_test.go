package daemon

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/daemon/process"
	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// BenchmarkAdopt takes over 2,000 connections to a doorbell each: what a new worker does between the receipt of their descriptors
// and the first call that it answers.
func BenchmarkAdopt(b *testing.B) {
	const connections = 2000
	me, err := process.Read(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	p := policy.Default(os.Geteuid())
	p.Softs = []policy.Soft{{Name: "soft:bench", Settings: map[string]any{"vectors": connections}}}
	for b.Loop() {
		b.StopTimer()
		store, err := keeper.NewLocal(4*connections, "i")
		if err != nil {
			b.Fatal(err)
		}
		left := map[string]*keeper.Entry{}
		var theirs []int
		put := func(key string, value []byte, fds ...int) {
			if err := store.Put(key, value, fds...); err != nil {
				b.Fatal(err)
			}
			left[key] = &keeper.Entry{Value: value, Descriptors: fds}
		}
		for i := range connections {
			id := fmt.Sprintf("c%d", i+1)
			uid := os.Getuid()
			h := irq.Holder{Kind: irq.HolderProcess, PID: me.PID, StartTime: me.Start, Command: me.Command, Cgroup: me.Cgroup, UID: &uid, GID: &uid, Connection: id}
			r := keptLink{Record: irq.Record{Connection: id, Generation: 1, Holder: h, Access: irq.AccessIRQ, Vectors: []irq.VectorRecord{{Vector: irq.Vector{Source: "soft:bench", Index: i}}}}}
			r.Subject = policy.Subject{UID: uid, GID: uid, Cgroup: me.Cgroup}
			lifeline, end, err := kernel.Socketpair()
			in, out, failed := kernel.Socketpair()
			if err != nil || failed != nil {
				b.Fatal(err, failed)
			}
			theirs = append(theirs, end)
			put(connectionPrefix+id, r.pack(), lifeline)
			put(fmt.Sprintf("%ssoft:bench/stream//%d/%s/1", sourcePrefix, i, id), nil, in, out)
		}
		b.StartTimer()
		s, err := New(Config{Policy: p, Owner: os.Geteuid(), Store: store, Left: left})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if s.Adopted().Adopted != connections {
			b.Fatal(s.Adopted())
		}
		s.Close(context.Background())
		store.Close()
		for _, fd := range theirs {
			kernel.Close(fd)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/connections, "ns/connection")
}
