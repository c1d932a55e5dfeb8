package varlink

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
)

func peerCredentials(fd int) (Credentials, error) {
	c, err := kernel.PeerCredentials(fd)
	if err != nil {
		return Credentials{}, fmt.Errorf("SO_PEERCRED: %w", err)
	}
	return Credentials{PID: int(c.Pid), UID: c.Uid, GID: c.Gid}, nil
}

// peerGroups takes "no data" for what it means, no groups.
func peerGroups(fd int) ([]uint32, error) {
	groups, err := kernel.PeerGroups(fd)
	if err == unix.ENODATA {
		return nil, nil
	}
	return groups, err
}

// peerPidfd asks the socket, and opens by number where the kernel is older than 6.5 and does not
// know the question (ENOPROTOOPT). Any other answer, such as that the peer is dead (EINVAL, ESRCH),
// is final.
func peerPidfd(socket, pid int) (fd int, exact bool, err error) {
	fd, err = kernel.PeerPidfd(socket)
	if err == nil {
		return fd, true, nil
	}
	if err != unix.ENOPROTOOPT {
		return -1, false, fmt.Errorf("SO_PEERPIDFD: %w", err)
	}
	if pid <= 0 {
		return -1, false, fmt.Errorf("pidfd_open: the peer is in another pid namespace")
	}
	if fd, err = kernel.OpenProcess(pid); err != nil {
		return -1, false, fmt.Errorf("pidfd_open: %w", err)
	}
	return fd, false, nil
}

// prepareListener sets what sessions inherit: each message brings its writer's credentials, and, if
// descriptors are not wanted, the kernel lets nobody send any (Linux 6.16; older ones do not know
// the option). They inherit it at connect(2) from Linux 6.16 on, before that at accept(2), so what
// connected earlier is without.
func prepareListener(raw syscall.RawConn, descriptors bool) error {
	var inner error
	err := raw.Control(func(fd uintptr) {
		inner = kernel.PassCredentials(int(fd))
		if inner == nil && !descriptors {
			_ = kernel.RefuseDescriptors(int(fd))
		}
	})
	if err == nil {
		err = inner
	}
	return err
}

// prepareSession makes up for what a session did not inherit, and says whether its peer can send
// descriptors. If it could up to now they are in the queue already, so then it still may.
func prepareSession(fd int) (sealed bool, err error) {
	return kernel.RefusesDescriptors(fd), kernel.PassCredentials(fd)
}
