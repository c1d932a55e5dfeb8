package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

var memoryRows = []row{
	{"memory of ivtd, idle, keeper and worker", goal{limit: 20 << 20, unit: "B"}, func(b *bench) (ours, peer sample, err error) {
		_, process, err := b.whole(64)
		return func() (float64, error) { return share(process.Process.Pid) }, nil, err
	}},
	{"memory of ivtd per connection", goal{limit: 4 << 10, unit: "B"}, func(b *bench) (ours, peer sample, err error) {
		return b.crowding("connections")
	}},
	{"the same, keeper and worker, as it grows from 1,000 on", goal{limit: 4 << 10, unit: "B"}, (*bench).growing},
	{"memory of ivtd per connection with an open session", goal{unit: "B"}, func(b *bench) (ours, peer sample, err error) {
		return b.crowding("sessions")
	}},
}

// settled is the resident memory after a garbage collection.
func settled(process *exec.Cmd) (float64, error) {
	if err := process.Process.Signal(syscall.SIGUSR1); err != nil {
		return 0, err
	}
	time.Sleep(100 * time.Millisecond)
	return resident(process.Process.Pid)
}

// crowding measures what a connection adds, by as many as RLIMIT_NOFILE allows: four descriptors each.
func (b *bench) crowding(kind string) (ours, peer sample, err error) {
	b.rounds = 2
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, nil, err
	}
	n := min(10000, int(limit.Cur-100)/5)
	return func() (float64, error) {
		one := &bench{}
		defer one.cleanup()
		socket, process, err := one.ivtd(n + 64)
		if err != nil {
			return 0, err
		}
		before, err := settled(process)
		if err != nil {
			return 0, err
		}
		if _, err := one.start("crowd", nil, "IVT_SOCKET="+socket, "IVT_BENCH_CROWD="+kind, "IVT_BENCH_VECTORS="+strconv.Itoa(n)); err != nil {
			return 0, err
		}
		after, err := settled(process)
		if b.notes == nil {
			b.note("%d of them, RLIMIT_NOFILE %d", n, limit.Cur)
		}
		return (after - before) / float64(n), err
	}, nil, nil
}

// growing measures what a connection adds to the real ivtd: with its share of the kept state, and with what the garbage collector
// has not come to yet.
func (b *bench) growing() (ours, peer sample, err error) {
	b.rounds = 1
	limit, err := descriptors(perConnection*10_000 + 1000)
	if err != nil {
		return nil, nil, err
	}
	first, n := 1000, min(10_000, connectable(limit))
	b.note("up to %d of them, RLIMIT_NOFILE %d", n, limit)
	return func() (float64, error) {
		one := &bench{}
		defer one.cleanup()
		socket, process, err := one.whole(n)
		if err != nil {
			return 0, err
		}
		var at [2]float64
		for i, some := range [][2]int{{0, first}, {first, n - first}} {
			if err == nil {
				_, err = one.start("crowd", nil, "IVT_SOCKET="+socket, "IVT_BENCH_CROWD=connections",
					"IVT_BENCH_FIRST="+strconv.Itoa(some[0]), "IVT_BENCH_VECTORS="+strconv.Itoa(some[1]))
			}
			if err == nil {
				at[i], err = share(process.Process.Pid)
			}
		}
		return (at[1] - at[0]) / float64(n-first), err
	}, nil, nil
}

// crowd makes many connections, each on a session of its own ("sessions") or on one.
func crowd() error {
	n, err := strconv.Atoi(os.Getenv("IVT_BENCH_VECTORS"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	client, err := ivt.NewClient()
	if err != nil {
		return err
	}
	first, _ := strconv.Atoi(os.Getenv("IVT_BENCH_FIRST")) // 0 if nobody says
	for i := range n {
		name := irq.Vector{Source: "soft:bench", Index: first + i}.String()
		if os.Getenv("IVT_BENCH_CROWD") == "sessions" {
			err = connectAlone(ctx, name)
		} else {
			_, err = client.Connect(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("%d of %d: %w", i, n, err)
		}
	}
	ready()
	return nil
}

// kept are what connectAlone leaves open.
var kept []*varlink.Conn

func connectAlone(ctx context.Context, name string) error {
	c, err := varlink.Dial(ctx, os.Getenv("IVT_SOCKET"))
	if err != nil {
		return err
	}
	kept = append(kept, c)
	d, err := c.CallDescriptors(ctx, api.Name+".Connect", api.ConnectIn{Vectors: []string{name}}, nil)
	if err != nil {
		return err
	}
	for i := range d.Len() {
		if _, err := d.Take(i); err != nil { // and leave it open
			return err
		}
	}
	return nil
}
