//go:build linux

package kernel

import (
	"golang.org/x/sys/unix"
)

// Socketpair returns the two ends of an AF_UNIX SEQPACKET connection, close-on-exec and blocking (socketpair(2)): a client
// simply reads its own, and Send, Discard and a Batch do not wait whatever the flags are.
func Socketpair() (ours, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err
	}
	return fds[0], fds[1], nil
}

// SetSendBuffer bounds what is queued for the peer (SO_SNDBUF, socket(7)). The kernel doubles it and
// counts about 768 bytes for a small record.
func SetSendBuffer(fd, bytes int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
}

// RefuseDescriptors makes the kernel refuse descriptors that a peer wants to send to fd (SO_PASSRIGHTS,
// Linux 6.16). ENOPROTOOPT: the kernel is older.
func RefuseDescriptors(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
}

// PassCredentials makes every record that fd receives carry the sender's credentials (SO_PASSCRED, unix(7)).
// It is also what tells an empty record from the end.
func PassCredentials(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
}

// Send sends one record without waiting, whatever the descriptor's flags, and without SIGPIPE.
// EAGAIN: the peer's queue is full; EPIPE, ECONNRESET: the peer is gone or was shut down.
func Send(fd int, record []byte) error {
	for {
		_, err := unix.SendmsgN(fd, record, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		return err
	}
}

// Shutdown ends both directions of a socket for every copy of either end: readers see the end, after
// what is still queued for them, and writers EPIPE.
func Shutdown(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) }

// Discard takes one queued record without looking at it and without waiting. It returns io.EOF's place,
// done, when there is none left: EAGAIN, or the end of the connection.
func Discard(fd int) (done bool, err error) {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_DONTWAIT)
	switch {
	case err == unix.EINTR:
		return false, nil
	case err == unix.EAGAIN, err == nil && n == 0:
		return true, nil
	}
	return err != nil, err
}

// HasRecord reports whether a record is unread on a SEQPACKET socket, be it empty; it has the socket ask for credentials, which tell an
// empty record from the end. An error is that of recvmsg(2); there is none for nothing to read.
func HasRecord(fd int) (bool, error) {
	if err := PassCredentials(fd); err != nil {
		return false, err
	}
	var data [1]byte
	var control [credentials]byte
	for {
		_, n, _, _, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false, nil
		}
		return n > 0, err
	}
}

// Unread returns how many bytes wait in a stream socket to be received (SIOCINQ, linux/sockios.h).
func Unread(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCINQ) }

// Unsent returns how many bytes of a socket's sends its peer has not taken yet, as the kernel accounts
// for them (SIOCOUTQ, linux/sockios.h): more than were sent, 0 if all were taken.
func Unsent(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) }
