package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt"
)

const (
	watchers        = 50
	eventsPerSecond = 1000
	watchedFor      = time.Second
)

var watcherRows = []row{
	{fmt.Sprintf("what %d watchers cost ivtd at %d events a second, of a core", watchers, eventsPerSecond), goal{limit: 5, unit: "%"}, (*bench).watched},
}

// watched compares two ivtd, keeper and worker, on which the same happens: one with watchers, one without. What they
// differ by in processor time is the watchers'.
func (b *bench) watched() (ours, peer sample, err error) {
	b.rounds = min(b.rounds, 9)
	with, err := b.busy(watchers)
	if err != nil {
		return nil, nil, err
	}
	without, err := b.busy(0)
	if err != nil {
		return nil, nil, err
	}
	var all, alone []float64
	return func() (float64, error) {
		w, err := with()
		if err != nil {
			return 0, err
		}
		o, err := without()
		all, alone = append(all, w), append(alone, o)
		b.notes = []string{fmt.Sprintf("%.1f%% with them, %.1f%% without", median(all), median(alone))}
		return max(0, w-o), err
	}, nil, nil
}

// busy starts an ivtd with so many watchers, all in a process of their own, and samples how much of a core it takes
// while somebody masks and unmasks.
func (b *bench) busy(watchers int) (sample, error) {
	socket, process, err := b.whole(64)
	if err != nil {
		return nil, err
	}
	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		return nil, err
	}
	b.later(func() { client.Close() })
	c, err := client.Connect(context.Background(), "soft:bench/7")
	if err != nil {
		return nil, err
	}
	if watchers > 0 {
		if _, err := b.start("watchers", nil, "IVT_SOCKET="+socket, "IVT_BENCH_CROWD="+strconv.Itoa(watchers)); err != nil {
			return nil, err
		}
	}
	return func() (float64, error) {
		before, err := usedBy(process)
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := events(c, start); err != nil {
			return 0, err
		}
		elapsed := time.Since(start)
		after, err := usedBy(process)
		return 100 * float64(after-before) / float64(elapsed), err
	}, nil
}

// events masks and unmasks, which is the cheapest for ivtd that watchers are told of.
func events(c *ivt.Connection, start time.Time) error {
	ctx := context.Background()
	n := int(watchedFor.Seconds() * eventsPerSecond)
	for i := range n {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / eventsPerSecond)))
		turn := c.Mask
		if i%2 == 1 {
			turn = c.Unmask
		}
		if err := turn(ctx, c.Vectors()[0]); err != nil {
			return err
		}
	}
	if late := time.Since(start) - watchedFor; late > watchedFor/5 {
		return fmt.Errorf("%d events took %v instead of %v: this machine is too busy", n, watchedFor+late, watchedFor)
	}
	return nil
}

// usedBy is the processor time of ivtd's two processes: clock_getcpuclockid(3) makes a clock of a pid.
func usedBy(keeper *exec.Cmd) (sum time.Duration, err error) {
	pids, err := childrenOf(keeper.Process.Pid)
	if err == nil && len(pids) == 0 {
		err = errors.New("ivtd has no worker")
	}
	for _, pid := range append(pids, keeper.Process.Pid) {
		var t unix.Timespec
		if failed := unix.ClockGettime(int32(^pid)<<3|2, &t); failed != nil {
			return 0, fmt.Errorf("processor time of pid %d: %w", pid, failed)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, err
}

// watchAll watches on many sessions and says that it is ready when each of them has been told what is there.
func watchAll() error {
	n, err := strconv.Atoi(os.Getenv("IVT_BENCH_CROWD"))
	if err != nil {
		return err
	}
	failed, told := make(chan error, n), make(chan bool, n)
	for range n {
		go func() {
			for u, err := range ivt.Watch(context.Background(), "", 0) {
				if err != nil {
					failed <- err
					return
				}
				if u.Ready {
					told <- true
				}
			}
		}()
	}
	for range n {
		select {
		case err := <-failed:
			return err
		case <-told:
		}
	}
	ready()
	return nil
}
