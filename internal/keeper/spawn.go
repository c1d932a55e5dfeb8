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
	control := os.NewFile(uintptr(theirs), "keeper control")
	defer control.Close()
	// What every worker asks for first is asked on its behalf: it is on its way while the worker only starts.
	if err := kernel.SendRights(theirs, encodeRecord(opAll)); err != nil {
		return nil, errors.Join(err, kernel.Close(ours))
	}
	k.store.setControl(ours)
	k.store.notify("WATCHDOG=1") // a worker that only just starts is not one that hangs
	memory, err := kernel.Duplicate(k.memory.FD())
	if err != nil {
		return nil, errors.Join(err, kernel.Close(ours))
	}
	memoryFile := os.NewFile(uintptr(memory), "ivtd state")
	defer memoryFile.Close()

	c := exec.Command(k.options.Program, k.options.Args...)
	c.Env = append(os.Environ(), WorkerEnv+"=1")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.ExtraFiles = append([]*os.File{control, memoryFile}, k.options.Files...)
	// Without its keeper a worker has nobody to keep anything: it must not go on.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, errors.Join(err, kernel.Close(ours))
	}
	k.control, k.worker = ours, c.Process
	ended := make(chan int, 1)
	go func() {
		c.Wait() // its result is in ProcessState
		ended <- exitStatus(c.ProcessState)
	}()
	return ended, nil
}

func exitStatus(p *os.ProcessState) int {
	if w, ok := p.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return p.ExitCode()
}

func ends(s os.Signal) bool { return s == syscall.SIGTERM || s == syscall.SIGINT }
