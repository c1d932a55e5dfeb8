package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

func main() {
	var err error
	switch {
	case os.Getpid() == 1:
		err = first()
		fmt.Println("vm: init failed:", err) // not reached otherwise
		powerOff()
	case filepath.Base(os.Args[0]) == "vm":
		err = command(os.Args[1:])
	case len(os.Args) == 2 && os.Args[1] == "run":
		err = underSystemd()
	default:
		err = fmt.Errorf("init: run it as the first process, or as %q under systemd", "init run")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

// first is what process 1 does.
func first() error {
	job, err := readJob()
	if err != nil {
		return err
	}
	if err := root(); err != nil {
		return err
	}
	if job.Init != "" {
		return unix.Exec(job.Init, []string{job.Init}, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", "SYSTEMD_COLORS=0"})
	}
	mounts()
	loopback()
	return work(job, &reaper{all: true})
}

// underSystemd does the job as a service of systemd's.
func underSystemd() error {
	job, err := readJob()
	if err != nil {
		return err
	}
	return work(job, &reaper{})
}

func readJob() (job wire.Job, err error) {
	text, err := os.ReadFile(wire.JobFile)
	if err != nil {
		return job, err
	}
	if err := json.Unmarshal(text, &job); err != nil {
		return job, fmt.Errorf("%s: %w", wire.JobFile, err)
	}
	return job, nil
}

// work runs the job and switches the machine off.
func work(job wire.Job, r *reaper) error {
	environment(job)
	loaded := load(job.Load)
	l, err := openLine()
	if err != nil {
		return err
	}
	if err := l.serve(wire.Socket); err != nil {
		return err
	}
	kernel, err := openKernelLog(l)
	if err != nil {
		return err
	}
	l.send(wire.Frame{Up: release()})
	l.note(loaded)
	if job.Shell {
		shell(r)
	}
	for _, t := range job.Tests {
		l.runTest(t, job, r, kernel)
		if l.over.Load() {
			select {} // until the harness ends the VM
		}
	}
	powerOff()
	return nil
}

func powerOff() {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("vm: power off:", err)
	}
	select {} // the kernel panics if process 1 returns
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(u.Release[:])
}
