package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

// reaper waits for a child. Process 1 also gets the orphans of others, and
// ends what a test left running.
type reaper struct{ all bool }

// wait returns the exit status of pid as a shell has it.
func (r *reaper) wait(pid int) int {
	for {
		var ws unix.WaitStatus
		want := pid
		if r.all {
			want = -1
		}
		got, err := unix.Wait4(want, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 127
		case got != pid:
		case ws.Signaled():
			return 128 + int(ws.Signal())
		case ws.Exited():
			return ws.ExitStatus()
		}
	}
}

// sweep kills what is left of a test and returns how many processes that were.
func (r *reaper) sweep() (n int) {
	if !r.all || unix.Kill(-1, unix.SIGKILL) != nil {
		return 0
	}
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err == nil {
			n++
		} else if !errors.Is(err, unix.EINTR) {
			return n
		}
	}
}

func (l *line) runTest(t wire.Test, job wire.Job, r *reaper, kernel *kernelLog) {
	start := time.Now()
	l.send(wire.Frame{Start: t.Name})
	status, err := l.spawn(t, job, r)
	if err != nil {
		l.say("vm: %s: %v\n", t.Path, err)
		status = 126
	}
	if n := r.sweep(); n > 0 {
		l.say("vm: %s left %d processes running\n", t.Name, n)
		if status == 0 {
			status = 125
		}
	}
	kernel.forward()
	l.send(wire.Frame{Exit: &wire.Exit{Name: t.Name, Status: status, Millis: time.Since(start).Milliseconds()}})
}

func (l *line) spawn(t wire.Test, job wire.Job, r *reaper) (int, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(t.Path, append([]string{t.Path}, t.Args...), &syscall.ProcAttr{
		Dir: t.Dir, Env: os.Environ(),
		Files: []uintptr{null.Fd(), in.Fd(), in.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	in.Close()
	if err != nil {
		out.Close()
		return 0, err
	}
	var copied sync.WaitGroup
	copied.Go(func() { l.copy(out) })
	unwatch := l.watch(pid, job)
	status := r.wait(pid)
	unwatch()
	// A process that the test left running may hold the pipe open.
	out.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	copied.Wait()
	out.Close()
	return status, nil
}

func (l *line) copy(out *os.File) {
	buf := make([]byte, 16<<10)
	for {
		n, err := out.Read(buf)
		if n > 0 {
			l.send(wire.Frame{Out: buf[:n]})
		}
		if err != nil {
			return
		}
	}
}

// shell runs one on the console until the person leaves it.
func shell(r *reaper) {
	fmt.Println("vm: a shell in the test VM; `vm` lists what it can do, Ctrl-D or `exit` switches it off")
	pid, err := syscall.ForkExec("/bin/busybox", []string{"setsid", "cttyhack", "sh", "-l"}, &syscall.ProcAttr{
		Dir: "/root", Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		fmt.Println("vm:", err)
		return
	}
	r.wait(pid)
}
