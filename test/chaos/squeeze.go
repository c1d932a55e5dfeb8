package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
)

// disturb does one thing to somebody, short of killing it.
func (c *chaos) disturb() error {
	victim := c.actors[c.r.IntN(actorCount)].process.Process
	switch c.r.IntN(10) {
	case 0, 1, 2:
		c.stops++
		victim.Signal(syscall.SIGSTOP)
		time.AfterFunc(20*time.Millisecond, func() { victim.Signal(syscall.SIGCONT) })
	case 3:
		return c.stopIvtd()
	case 4:
		return c.fewDescriptors()
	case 5:
		return c.littleMemory()
	case 6:
		return c.fullDisk()
	}
	return nil
}

// stopIvtd stops worker or keeper for a while; that holds everybody up, and ends nothing.
func (c *chaos) stopIvtd() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	c.workerStops++
	pid := []int{s.PID, c.keeper()}[c.r.IntN(2)]
	syscall.Kill(pid, syscall.SIGSTOP)
	err = c.pass(20 * time.Millisecond)
	return errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
}

// keeper is the pid of ivtd's parent process: the shell that started it became it.
func (c *chaos) keeper() int { return c.ivtd.Process.Pid }

// pass lets clients go on for a while.
func (c *chaos) pass(d time.Duration) error {
	time.Sleep(d) // the length of what is done to ivtd; nothing is concluded from its being over
	return c.replaceEnded()
}

// limited changes a limit of the worker for a while. What else it is subject to stays: the next worker is not.
func (c *chaos) limited(pid, resource int, value uint64, d time.Duration) error {
	var former unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &former); err != nil {
		return ignoreDead(err)
	}
	if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: value, Max: former.Max}, nil); err != nil {
		return ignoreDead(err)
	}
	err := c.pass(d)
	return errors.Join(err, ignoreDead(unix.Prlimit(pid, resource, &former, nil)))
}

func ignoreDead(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// fewDescriptors leaves the worker three descriptors: who asks is refused, who is connected stays.
func (c *chaos) fewDescriptors() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	c.squeezes++
	from := kernel.Monotonic()
	defer func() { c.noteGap(from, scarce) }()
	return c.limited(s.PID, unix.RLIMIT_NOFILE, uint64(files(s.PID)+3), 30*time.Millisecond)
}

// littleMemory leaves the worker hardly any address space. It may die of that, which is another kind of kill.
func (c *chaos) littleMemory() error {
	s, err := c.status()
	if err != nil {
		return err
	}
	c.starved++
	from := kernel.Monotonic()
	if err := c.limited(s.PID, unix.RLIMIT_AS, uint64(field(s.PID, "status", "VmSize:"))<<10, 30*time.Millisecond); err != nil {
		return err
	}
	now, err := c.status()
	if err == nil && now.PID != s.PID {
		c.noteGap(from, noWorker)
		c.workerKills-- // it was not by us
		c.memoryDeaths++
	}
	return err
}

// fullDisk fills the file system that the history is on, or has the kernel refuse that the history grows.
func (c *chaos) fullDisk() error {
	c.fullDisks++
	if !c.small {
		s, err := c.status()
		if err != nil {
			return err
		}
		return c.limited(s.PID, unix.RLIMIT_FSIZE, 4096, 100*time.Millisecond)
	}
	filler := c.disk + "/filler"
	err := os.WriteFile(filler, make([]byte, 8<<20), 0o600)
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk is not full: %v", err)
	}
	err = c.pass(100 * time.Millisecond)
	return errors.Join(err, os.Remove(filler))
}
