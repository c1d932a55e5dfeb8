package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

// watch makes the test of that process say where it is when it outlives the
// job's limit, and ends it after the job's grace, so that the harness need not
// end the VM. It returns what stops that.
func (l *line) watch(pid int, job wire.Job) (stop func()) {
	l.test.Store(int64(pid))
	if job.Limit == 0 {
		return func() { l.test.Store(0) }
	}
	limit := time.AfterFunc(job.Limit, l.dump)
	end := time.AfterFunc(job.Limit+job.Grace, func() {
		l.say("vm: the test did not end by itself and is killed\n")
		unix.Kill(pid, unix.SIGKILL)
	})
	return func() {
		limit.Stop()
		end.Stop()
		l.test.Store(0)
	}
}

// dump sends what all processes wait for, and makes the test print its
// goroutines, even if it was stopped.
func (l *line) dump() {
	pid := int(l.test.Load())
	if pid == 0 {
		l.say("vm: no test runs\n")
		return
	}
	l.say("vm: the test did not end in time; all processes, and what their threads wait for:\n%s", processes())
	unix.Kill(pid, unix.SIGQUIT)
	unix.Kill(pid, unix.SIGCONT)
}

func (l *line) say(format string, args ...any) {
	l.send(wire.Frame{Out: fmt.Appendf(nil, format, args...)})
}

// processes lists those that are no threads of the kernel's, each with its
// threads.
func processes() []byte {
	var b bytes.Buffer
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if len(command) == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %s %.100q\n", filepath.Base(dir), bytes.ReplaceAll(bytes.TrimRight(command, "\x00"), []byte{0}, []byte{' '}))
		threads, _ := filepath.Glob(filepath.Join(dir, "task/*"))
		for _, t := range threads {
			fmt.Fprintf(&b, "    %s %s\n", filepath.Base(t), thread(t))
		}
	}
	return b.Bytes()
}

// thread is its state, the kernel's function that it waits in and its system
// call, see proc(5).
func thread(dir string) string {
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return string(bytes.TrimSpace(text))
	}
	_, state, _ := strings.Cut(read("stat"), ") ")
	return fmt.Sprintf("%.1s %s, system call %s", state, read("wchan"), read("syscall"))
}
