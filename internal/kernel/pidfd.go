//go:build linux

package kernel

import "golang.org/x/sys/unix"

// OpenProcess returns a pidfd (pidfd_open(2)), which is EventIn when the process exits. ESRCH: there is none such.
func OpenProcess(pid int) (int, error) { return unix.PidfdOpen(pid, 0) }
