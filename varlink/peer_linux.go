package varlink

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
)

func peerCredentials(fd int) (Credentials, error) {
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Credentials{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	return Credentials{PID: int(c.Pid), UID: c.Uid, GID: c.Gid}, nil
}

func peerGroups(fd int) ([]uint32, error) { return kernel.PeerGroups(fd) }

// peerPidfd asks the socket, and opens by number where the kernel is older than 6.5 and does not
// know the question (ENOPROTOOPT). Any other answer, such as that the peer is dead (EINVAL, ESRCH),
// is final.
func peerPidfd(socket, pid int) (fd int, exact bool, err error) {
	fd, err = unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err == nil {
		return fd, true, nil
	}
	if err != unix.ENOPROTOOPT {
		return -1, false, fmt.Errorf("SO_PEERPIDFD: %w", err)
	}
	if pid <= 0 {
		return -1, false, fmt.Errorf("pidfd_open: the peer is in another pid namespace")
	}
	if fd, err = unix.PidfdOpen(pid, 0); err != nil {
		return -1, false, fmt.Errorf("pidfd_open: %w", err)
	}
	return fd, false, nil
}

// prepareListener sets, on a listening socket, what its sessions inherit from the moment on at which their
// client connects: each message brings its writer's credentials, and, if descriptors are not
// wanted, the kernel lets nobody send any (Linux 6.16; sealed says whether it does).
func prepareListener(l *net.UnixListener, descriptors bool) (sealed bool, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return false, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		if inner == nil && !descriptors {
			sealed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0) == nil
		}
	})
	if err == nil {
		err = inner
	}
	return sealed, err
}
