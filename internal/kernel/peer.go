//go:build linux

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PeerCredentials returns who connected a Unix socket, or listened on it: pid, effective uid and gid
// (SO_PEERCRED, unix(7)). The pid is 0 for a process that our pid namespace does not have.
func PeerCredentials(socket int) (*unix.Ucred, error) {
	return unix.GetsockoptUcred(socket, unix.SOL_SOCKET, unix.SO_PEERCRED)
}

// PeerPidfd returns a pidfd for the peer (SO_PEERPIDFD, Linux 6.5). ENOPROTOOPT: the kernel is older.
// EINVAL or ESRCH: the peer is dead and reaped.
func PeerPidfd(socket int) (int, error) {
	return unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
}

// PeerGroups returns the peer's supplementary groups (SO_PEERGROUPS, Linux 4.13). ENODATA: it has none to tell.
func PeerGroups(socket int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(socket), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch errno {
		case 0:
			return groups[:size/4], nil
		case unix.ERANGE: // size says how much it takes
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}

// RefusesDescriptors reports whether the kernel refuses descriptors that a peer wants to send to a
// socket (SO_PASSRIGHTS, Linux 6.16), see RefuseDescriptors.
func RefusesDescriptors(socket int) bool {
	passes, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PASSRIGHTS)
	return err == nil && passes == 0
}

// StopLingering makes close(2) of a socket return at once (SO_LINGER, socket(7)). ENOTSOCK: it is none.
func StopLingering(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
}

// Accept takes the next connection of a listener without waiting, close-on-exec and non-blocking (accept4(2)); who it is
// PeerCredentials tells. EAGAIN: there is none.
func Accept(listener int) (int, error) {
	fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
