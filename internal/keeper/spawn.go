package keeper

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// WorkerEnv is set to "1" in the environment of a worker.
const WorkerEnv = "IVTD_WORKER"

// start begins a worker. Its exit status arrives on the channel.
func (k *Keeper) start() (<-chan int, error) {
	ours, theirs, err := kernel.Socketpair()
	if err != nil {
		return nil, err
	}
	k.store.setControl(ours)
	k.store.notify("WATCHDOG=1") // a worker that only just starts is not one that hangs
	ended, err := k.spawn(theirs)
	if err = errors.Join(err, kernel.Close(theirs)); err != nil {
		return nil, errors.Join(err, kernel.Close(ours))
	}
	k.control = ours
	return ended, nil
}

// spawn executes the program as a worker whose end of the socket is control.
func (k *Keeper) spawn(control int) (<-chan int, error) {
	table, err := k.table()
	if err != nil {
		return nil, err
	}
	defer kernel.Close(table)
	fds := []int{control, k.memory.FD(), table}
	for _, f := range k.options.Files {
		fds = append(fds, int(f.Fd()))
	}
	files, err := k.copies(fds)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	c := exec.Command(k.options.Program, k.options.Args...)
	c.Env = append(os.Environ(), WorkerEnv+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.ExtraFiles = files
	// Without its keeper a worker has nobody to keep anything: it must not go on.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, err
	}
	k.worker = c.Process
	ended := make(chan int, 1)
	go func() {
		c.Wait() // its result is in ProcessState
		ended <- exitStatus(c.ProcessState)
	}()
	return ended, nil
}

// copies are what a worker is to find from ControlFile on. They are above lowest before that: os/exec would give others numbers that
// it takes for free, and what is held has them (forkAndExecInChild1 in Go's syscall/exec_linux.go).
func (k *Keeper) copies(fds []int) (files []*os.File, err error) {
	for _, fd := range fds {
		above, err := kernel.DuplicateAbove(fd, k.lowest())
		if err != nil {
			return files, err
		}
		files = append(files, os.NewFile(uintptr(above), "for a worker"))
	}
	return files, nil
}

func exitStatus(p *os.ProcessState) int {
	if w, ok := p.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return p.ExitCode()
}

func ends(s os.Signal) bool { return s == syscall.SIGTERM || s == syscall.SIGINT }
