package varlink

import (
	"fmt"
	"net"
	"syscall"
)

// Credentials say who a process is, as the kernel told. A process that cannot be seen from the
// reader's pid namespace has PID 0.
type Credentials struct {
	PID int
	UID uint32
	GID uint32
}

// A Peer is the other end of a socket: the process that connected (for a server) or that listens
// (for a client), as it was then. A socket that was handed on, or inherited by a child, keeps the
// peer that it had; Call.Sender says who wrote a message.
type Peer struct {
	Credentials // SO_PEERCRED: pid, effective uid and gid
	raw         syscall.RawConn
}

func newPeer(conn *net.UnixConn) (*Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("varlink: peer: %w", err)
	}
	p := &Peer{raw: raw}
	err = p.control(func(fd int) error {
		p.Credentials, err = peerCredentials(fd)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("varlink: peer's credentials: %w", err)
	}
	return p, nil
}

// Groups are the peer's supplementary groups (SO_PEERGROUPS), which the credentials lack.
func (p *Peer) Groups() ([]uint32, error) {
	var groups []uint32
	err := p.control(func(fd int) (err error) {
		groups, err = peerGroups(fd)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("varlink: peer's groups: %w", err)
	}
	return groups, nil
}

// Pidfd opens a descriptor for the peer's process, which the caller closes. It is exact where the
// kernel kept one with the socket (SO_PEERPIDFD, Linux 6.5); otherwise it was opened by number, and
// if that is not what connected but has come after it, only its start time tells.
func (p *Peer) Pidfd() (fd int, exact bool, err error) {
	err = p.control(func(socket int) error {
		fd, exact, err = peerPidfd(socket, p.PID)
		return err
	})
	if err != nil {
		return -1, false, fmt.Errorf("varlink: peer's pidfd: %w", err)
	}
	return fd, exact, nil
}

// control runs f on the socket's descriptor.
func (p *Peer) control(f func(fd int) error) error {
	var inner error
	err := p.raw.Control(func(fd uintptr) { inner = f(int(fd)) })
	if err != nil {
		return err
	}
	return inner
}
