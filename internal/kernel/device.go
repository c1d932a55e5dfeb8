//go:build linux

package kernel

import "golang.org/x/sys/unix"

// OpenDevice opens a device file for reading and writing, close-on-exec and outside Go's poller, so that
// the number stays a number. Flags are added (unix.O_NONBLOCK).
func OpenDevice(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// ReadAt reads at a position (pread(2)).
func ReadAt(fd int, b []byte, offset int64) (int, error) { return unix.Pread(fd, b, offset) }

// WriteAt writes at a position (pwrite(2)).
func WriteAt(fd int, b []byte, offset int64) (int, error) { return unix.Pwrite(fd, b, offset) }

// Read reads once (read(2)).
func Read(fd int, b []byte) (int, error) { return unix.Read(fd, b) }

// Write writes once (write(2)).
func Write(fd int, b []byte) (int, error) { return unix.Write(fd, b) }

// SameFile reports whether descriptor a of this process and descriptor b of process pid are one open file
// (kcmp(2), KCMP_FILE). EPERM: ptrace of pid is not allowed; ENOSYS: the kernel has no kcmp; ESRCH, EBADF: it is gone.
func SameFile(a, pid, b int) (bool, error) {
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(unix.Getpid()), uintptr(pid), 0, uintptr(a), uintptr(b), 0)
	if errno != 0 {
		return false, errno
	}
	return r == 0, nil
}
