//go:build linux

package kernel

import "golang.org/x/sys/unix"

// OpenProcess returns a pidfd (pidfd_open(2)), which is EventIn when the process exits. ESRCH: there is none such.
func OpenProcess(pid int) (int, error) { return unix.PidfdOpen(pid, 0) }

// SignalProcess sends a signal through a pidfd, so that a reused pid is never hit (pidfd_send_signal(2)).
func SignalProcess(pidfd int, signal unix.Signal) error {
	return unix.PidfdSendSignal(pidfd, signal, nil, 0)
}

// CopyFromProcess returns a copy of descriptor fd of that process (pidfd_getfd(2)). EPERM: ptrace is not allowed.
func CopyFromProcess(pidfd, fd int) (int, error) { return unix.PidfdGetfd(pidfd, fd, 0) }
