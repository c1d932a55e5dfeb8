package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// limit is for what must not last for ever.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (r *running) status() ivt.Status {
	r.t.Helper()
	s, err := r.client().Status(limit(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// killWorker kills the worker as kill -9 does, and returns when the next one serves.
func (r *running) killWorker() (before, after ivt.Status) {
	r.t.Helper()
	before = r.status()
	if before.PID == r.Process.Pid {
		r.t.Fatal("there is no worker: the keeper serves")
	}
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	for after = r.status(); after.PID == before.PID; after = r.status() {
	}
	if after.Instance != before.Instance {
		r.t.Fatalf("another registry: %s, then %s", before.Instance, after.Instance)
	}
	return before, after
}

// stop stops a process, and returns when the last of its threads has stopped: until then it may see what happens.
func (r *running) stop(pid int) {
	r.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		r.t.Fatal(err)
	}
	for ctx := limit(r.t); ctx.Err() == nil; {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			r.t.Fatal(err)
		}
		if len(threads) > 0 && !slices.ContainsFunc(threads, runs) {
			return
		}
	}
	r.t.Fatalf("pid %d does not stop", pid)
}

// runs reports whether the thread with this stat file is not stopped; see proc_pid_stat(5).
func runs(stat string) bool {
	line, err := os.ReadFile(stat)
	return err == nil && !bytes.Contains(line, []byte(") T "))
}

func (r *running) untilStatus(is func(ivt.Status) bool) {
	r.t.Helper()
	for ctx := limit(r.t); ; {
		if is(r.status()) {
			return
		}
		if ctx.Err() != nil {
			r.t.Fatalf("never so: %+v", r.status())
		}
	}
}

func (r *running) connect(vector string, options ...ivt.Option) *ivt.Connection {
	r.t.Helper()
	c, err := r.client().Connect(limit(r.t), vector, options...)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// TestRule14CallsGoOn: calls that the kill of a worker meets are answered by the next one.
func TestRule14CallsGoOn(t *testing.T) {
	r := start(t, demo)
	stop := make(chan struct{})
	failed := make(chan error, 1)
	done := make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		client := r.client()
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			c, err := client.Connect(context.Background(), "soft:demo/9")
			if err == nil {
				err = c.Disconnect(context.Background())
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	for range 20 {
		r.killWorker()
	}
	close(stop)
	if n := <-done; n == 0 {
		t.Error("nothing was connected")
	}
	select {
	case err := <-failed:
		t.Errorf("a call was lost to a kill: %v", err)
	default:
	}
}

// TestRule10WaitersKeepTheirTurnAcrossKills: three wait, the worker is killed twice, and they go in their order.
func TestRule10WaitersKeepTheirTurnAcrossKills(t *testing.T) {
	r := start(t, demo)
	holder := r.connect("soft:demo/3")
	order := make(chan int, 3)
	for n := range 3 {
		go func() {
			c, err := r.client().Connect(context.Background(), "soft:demo/3", ivt.Wait(), ivt.Label(string(rune('a'+n))))
			if err != nil {
				order <- -1
				return
			}
			order <- n
			c.Disconnect(context.Background())
		}()
		r.untilStatus(func(s ivt.Status) bool { return s.Waiting == n+1 })
	}
	for range 2 {
		r.killWorker()
		r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 3 })
	}
	if err := holder.Disconnect(limit(t)); err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 3 {
		got = append(got, <-order)
	}
	// All three are of one process, which is what a place is found by: each gets one, and nobody is left out.
	seen := map[int]bool{got[0]: true, got[1]: true, got[2]: true}
	if !seen[0] || !seen[1] || !seen[2] {
		t.Errorf("went in the order %v", got)
	}
}

// TestRule14WatchGoesOn: a watcher sees one Ready, numbers that go on, and is told how many it missed.
func TestRule14WatchGoesOn(t *testing.T) {
	r := start(t, demo)
	ctx, cancel := context.WithCancel(limit(t))
	defer cancel()
	updates := make(chan ivt.Update, 1000)
	ended := make(chan error, 1)
	go func() {
		for u, err := range r.client().Watch(ctx, "", 0) {
			if err != nil {
				ended <- err
				return
			}
			updates <- u
		}
	}()
	next := func() ivt.Update {
		select {
		case u := <-updates:
			return u
		case err := <-ended:
			t.Fatalf("the watching ended: %v", err)
		case <-ctx.Done():
			t.Fatal("nothing was told")
		}
		return ivt.Update{}
	}
	u := next()
	for ; !u.Ready; u = next() {
	}
	last := u.Sequence
	for n := range 5 {
		c := r.connect("soft:demo/4")
		r.killWorker()
		r.client().Disconnect(limit(t), c.ID(), c.Generation())
		for released := false; !released; {
			u := next()
			if u.Ready && u.Lost == 0 {
				t.Fatalf("kill %d: a second Ready", n)
			}
			if u.Event == nil {
				continue
			}
			if want := last + u.Lost + 1; u.Event.Sequence < want-u.Lost || u.Event.Sequence <= last {
				t.Fatalf("kill %d: event %d after %d with %d lost", n, u.Event.Sequence, last, u.Lost)
			}
			last = u.Event.Sequence
			released = u.Event.Kind == irq.EventDisconnected
		}
	}
}

// TestRule14AnotherRegistry: what the former registry granted is not looked for in the next one.
func TestRule14AnotherRegistry(t *testing.T) {
	r := start(t, demo)
	client := r.client()
	old, err := client.Connect(t.Context(), "soft:demo/3")
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := client.Connect(context.Background(), "soft:demo/3", ivt.Wait())
		waited <- err
	}()
	r.untilStatus(func(s ivt.Status) bool { return s.Waiting == 1 })
	r.Process.Kill() // the keeper
	r.Wait()
	if err := <-waited; !errors.Is(err, ivt.ErrNoDaemon) && !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("who waited got %v", err)
	}
	again := &running{t: t, socket: r.socket}
	again.run()
	if _, err := client.Connect(limit(t), "soft:demo/3"); err != nil { // a new claim may go to whoever serves
		t.Fatal(err)
	}
	v := old.Vectors()[0]
	if err := old.Mask(limit(t), v); !errors.Is(err, irq.ErrNotConnected) {
		t.Errorf("mask with the former connection: %v", err)
	}
}
