package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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
	{fmt.Sprintf("what %d watchers cost ivtd at %d events a second, of a core", watchers, eventsPerSecond), goal{limit: 5, unit: "%"}, func(b *bench) (ours, peer sample, err error) {
		return b.watched("watchers")
	}},
	{fmt.Sprintf("what %d viewers of its page cost ivtd at %d events a second", watchers, eventsPerSecond), goal{unit: "%"}, func(b *bench) (ours, peer sample, err error) {
		return b.watched("viewers")
	}},
}

// watched compares two ivtd, keeper and worker, on which the same happens: one with watchers, one without. What they
// differ by in processor time is the watchers'.
func (b *bench) watched(kind string) (ours, peer sample, err error) {
	b.rounds = min(b.rounds, 9)
	with, err := b.busy(kind)
	if err != nil {
		return nil, nil, err
	}
	without, err := b.busy("")
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

// busy starts an ivtd with those who look, all in a process of their own, and samples how much of a core it takes
// while somebody masks and unmasks.
func (b *bench) busy(kind string) (sample, error) {
	socket, process, err := b.wholeWith(64, func(dir string) []string { return []string{"--listen", "unix:" + dir + "/page"} })
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
	if kind != "" {
		page := filepath.Join(filepath.Dir(socket), "page")
		if _, err := b.start(kind, nil, "IVT_SOCKET="+socket, "IVT_BENCH_PAGE="+page, "IVT_BENCH_CROWD="+strconv.Itoa(watchers)); err != nil {
			return nil, err
		}
	}
	return func() (float64, error) {
		before, err := usedBy(process)
		if err != nil {
			return 0, err
		}
		if err := events(c); err != nil {
			return 0, err
		}
		after, err := usedBy(process)
		return 100 * float64(after-before) / float64(watchedFor), err // also where this machine was too busy to be on time
	}, nil
}

// events masks and unmasks, which is the cheapest for ivtd that watchers are told of.
func events(c *ivt.Connection) error {
	ctx, start := context.Background(), time.Now()
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
	return many(func(told func()) error {
		for u, err := range ivt.Watch(context.Background(), "", 0) {
			if err != nil {
				return err
			}
			if u.Ready {
				told()
			}
		}
		return io.ErrUnexpectedEOF
	})
}

// viewAll reads the page's events as many browsers do.
func viewAll() error {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", os.Getenv("IVT_BENCH_PAGE"))
	}}}
	return many(func(told func()) error {
		r, err := client.Get("http://ivtd/api/stream")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); err != nil {
			return err
		}
		told()
		_, err = io.Copy(io.Discard, r.Body)
		return errors.Join(err, io.ErrUnexpectedEOF)
	})
}

// many does the same many times at once, and says that it is ready when each of them was told something.
func many(look func(told func()) error) error {
	n, err := strconv.Atoi(os.Getenv("IVT_BENCH_CROWD"))
	if err != nil {
		return err
	}
	failed, told := make(chan error, n), make(chan bool, n)
	for range n {
		go func() { failed <- look(func() { told <- true }) }()
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
