//go:build linux

package kernel

import (
	"os"

	"golang.org/x/sys/unix"
)

// DescriptorsInUse returns how many descriptors this process has open, and how many it may (RLIMIT_NOFILE,
// getrlimit(2)). A number that the system does not tell is 0.
func DescriptorsInUse() (open int, limit uint64) {
	if info, err := os.Stat("/proc/self/fd"); err == nil && info.Size() > 0 {
		open = int(info.Size()) // Linux 6.2 (proc_readfd_count in fs/proc/fd.c)
	} else if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = len(entries) - 1 // the one that reads them
	}
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil {
		limit = r.Cur
	}
	return open, limit
}

// LockFile takes an exclusive lock on an open file (flock(2)) without waiting, which every copy of the
// descriptor holds until the last one is closed. EAGAIN: another process has it.
func LockFile(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }

// UnlimitLockedMemory lifts the limit on locked memory of this process (RLIMIT_MEMLOCK), against which BPF maps count before
// Linux 5.11. It needs CAP_SYS_RESOURCE, otherwise EPERM.
func UnlimitLockedMemory() error {
	return unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
}
