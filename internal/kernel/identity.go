package kernel

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// FileIdentity returns device and inode of an open file. Sockets and pipes have an inode of their own;
// eventfds share one with all anonymous inodes.
func FileIdentity(fd int) (dev, ino uint64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, err
	}
	return st.Dev, st.Ino, nil
}

// CompareFiles orders the open files (struct file) behind two descriptors of this process: 0 if they are copies of one, else -1 or 1,
// the same as long as both are open (kcmp(2), KCMP_FILE). Errors: ENOSYS where the kernel has no kcmp, EPERM where a filter forbids it.
func CompareFiles(a, b int) (int, error) {
	const file = 0 // KCMP_FILE, linux/kcmp.h
	pid := uintptr(os.Getpid())
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, pid, pid, file, uintptr(a), uintptr(b), 0)
	switch {
	case errno != 0:
		return 0, errno
	case order == 0:
		return 0, nil
	case order == 1:
		return -1, nil
	}
	return 1, nil
}

// FileSize returns the size of an open file in bytes.
func FileSize(fd int) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, err
	}
	return st.Size, nil
}

// Close closes a descriptor. Linux frees it even when it reports an error.
func Close(fd int) error { return unix.Close(fd) }

// SetCloseOnExec sets or clears FD_CLOEXEC.
func SetCloseOnExec(fd int, on bool) error {
	flag := 0
	if on {
		flag = unix.FD_CLOEXEC
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
	return err
}

// CloseOnExecFrom sets FD_CLOEXEC of every descriptor from first on (close_range(2), Linux 5.11).
func CloseOnExecFrom(first int) error {
	return unix.CloseRange(uint(first), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

// Duplicate returns a copy of fd, close-on-exec, above the standard ones (fcntl(2), F_DUPFD_CLOEXEC).
func Duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }
