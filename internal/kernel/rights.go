package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrCutShort says that a message was longer than the buffer, or that the process had no descriptor left for what came with it.
var ErrCutShort = errors.New("message cut short by the kernel")

// MaxRights is how many descriptors one message carries (SCM_MAX_FD, include/net/scm.h).
const MaxRights = 253

// SendRights sends one message with copies of fds (SCM_RIGHTS, unix(7)).
func SendRights(socket int, data []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		err := unix.Sendmsg(socket, data, oob, nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// ReceiveRights receives one message of at most len(data) bytes with its descriptors, which are
// close-on-exec and the caller's. n is 0 when the peer is gone. A message that did not fit whole
// (MSG_TRUNC, MSG_CTRUNC) is an error, and its descriptors are closed.
func ReceiveRights(socket int, data []byte) (n int, fds []int, err error) {
	return receiveRights(socket, data, 0)
}

// PeekRecord is ReceiveRights that leaves the message, with the descriptors that it carries, where it is: the caller
// has copies. Discard takes it away.
func PeekRecord(socket int, data []byte) (n int, fds []int, err error) {
	return receiveRights(socket, data, unix.MSG_PEEK)
}

// PeekRecordNow is PeekRecord without waiting. EAGAIN: there is none.
func PeekRecordNow(socket int, data []byte) (n int, fds []int, err error) {
	return receiveRights(socket, data, unix.MSG_PEEK|unix.MSG_DONTWAIT)
}

func receiveRights(socket int, data []byte, how int) (n int, fds []int, err error) {
	oob := make([]byte, unix.CmsgSpace(MaxRights*4))
	var oobn, flags int
	for {
		n, oobn, flags, _, err = unix.Recvmsg(socket, data, oob, unix.MSG_CMSG_CLOEXEC|how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return 0, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return 0, nil, fmt.Errorf("parse control message: %w", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_RIGHTS {
			got, err := unix.ParseUnixRights(&m)
			if err != nil {
				return 0, nil, fmt.Errorf("parse rights: %w", err)
			}
			fds = append(fds, got...)
		}
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return 0, nil, fmt.Errorf("%w (flags %#x)", ErrCutShort, flags)
	}
	return n, fds, nil
}

// SendTo sends one datagram with copies of fds to a Unix socket by its path; a leading @ is the abstract name space.
func SendTo(socket int, path string, data []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(socket, data, oob, &unix.SockaddrUnix{Name: path}, unix.MSG_NOSIGNAL)
}

// DatagramSocket makes an unbound Unix datagram socket, close-on-exec.
func DatagramSocket() (int, error) {
	return unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
}

// IsReadable reports whether a read of fd would not block, at once (poll(2)).
func IsReadable(fd int) (bool, error) {
	events, err := look(fd, unix.POLLIN)
	return events&unix.POLLIN != 0, err
}

// HungUp reports whether the peer of a socket has closed its end (poll(2), POLLHUP or POLLRDHUP).
func HungUp(fd int) (bool, error) {
	events, err := look(fd, unix.POLLRDHUP)
	return events&(unix.POLLHUP|unix.POLLRDHUP|unix.POLLERR) != 0, err
}

// HungUpAll is HungUp for many sockets at once, in their order. A negative number stands for none, which has not hung up.
func HungUpAll(fds []int) ([]bool, error) {
	p, gone := make([]unix.PollFd, len(fds)), make([]bool, len(fds))
	for i, fd := range fds {
		p[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLRDHUP}
	}
	for {
		if _, err := unix.Poll(p, 0); err == unix.EINTR {
			continue
		} else if err != nil {
			return gone, err
		}
		for i := range p {
			gone[i] = p[i].Revents&(unix.POLLHUP|unix.POLLRDHUP|unix.POLLERR) != 0
		}
		return gone, nil
	}
}

// look polls one descriptor without waiting. Signals, which the Go runtime sends itself, interrupt that, too.
func look(fd int, events int16) (int16, error) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if _, err := unix.Poll(p, 0); err != unix.EINTR {
			return p[0].Revents, err
		}
	}
}
