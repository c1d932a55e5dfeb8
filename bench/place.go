package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// In a pinned row who asks runs on one CPU and who answers on another, on both sides. Left to itself the scheduler puts
// small programs together on one and larger ones apart, and then the distance of CPUs is what is measured: on a virtual
// machine it costs several times what a wake-up does.
const (
	askingCPU    = 0
	answeringCPU = 1
)

func only(cpu int) *unix.CPUSet {
	var set unix.CPUSet
	set.Set(cpu)
	return &set
}

// startOn starts a process; of a pinned row on one CPU, with as many Go threads as anywhere.
func (b *bench) startOn(cpu int, c *exec.Cmd) error {
	if !b.pinned || runtime.NumCPU() < 2 {
		return c.Start()
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	c.Env = append(c.Env, "GOMAXPROCS="+strconv.Itoa(runtime.NumCPU()))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, only(cpu)); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	return c.Start()
}
