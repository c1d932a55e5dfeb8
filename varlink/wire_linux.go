package varlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
)

// controlSize is room for all the control messages that one recvmsg can bring: credentials, a pidfd
// and 253 descriptors (unix(7)), each behind a header of 16 bytes and padded to 8. In a shorter
// buffer descriptors are lost.
const controlSize = credentialsSize + (16 + 8) + (16 + 4*maxDescriptors + 4)

// credentialsSize is room for credentials alone, which come first (scm_recv in include/net/scm.h).
const credentialsSize = 16 + 16

// receive is RawConn.Read's callback: it takes the message, or what there is of it, and returns
// false to wait for more.
func (w *wire) receive(fd uintptr) bool {
	p := peeks.Get().(*peek)
	defer peeks.Put(p)
	for !w.in.done {
		err := w.step(int(fd), p)
		if err == unix.EAGAIN {
			return w.in.began() && !w.in.park
		}
		if err != nil {
			w.in.finish(err)
		}
	}
	return true
}

// step takes some of the message.
func (w *wire) step(fd int, p *peek) error {
	if w.greedy {
		return w.gulp(fd, p)
	}
	return w.look(fd, p)
}

// recvmsg is recvmsg(2). Where it returns no bytes there is nothing to do, or err says what: unix.EAGAIN to wait, else the
// session is over.
func (w *wire) recvmsg(fd int, room, control []byte, flags int) (n, oobn, got int, err error) {
	n, oobn, got, _, err = unix.Recvmsg(fd, room, control, flags)
	switch {
	case err == unix.EINTR:
		return 0, 0, 0, nil
	case err == unix.EAGAIN:
		return 0, 0, 0, err
	case err != nil:
		return 0, 0, 0, fmt.Errorf("recvmsg: %w", err)
	case n == 0:
		return 0, 0, 0, w.in.ended()
	}
	return n, oobn, got, nil
}

// gulp takes what has come, of the message and more.
func (w *wire) gulp(fd int, p *peek) error {
	room, control := w.in.room(p.text[:]), p.control[:]
	if w.unwanted {
		control = control[:credentialsSize]
	}
	n, oobn, flags, err := w.recvmsg(fd, room, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if n == 0 {
		return err
	}
	w.in.control(p.control[:oobn], flags)
	w.add(room[:n])
	w.rest = slices.Clone(w.rest) // the room is borrowed, or goes with the message
	return nil
}

// look peeks at what has come and takes it, as far as it belongs to the message.
func (w *wire) look(fd int, p *peek) error {
	room := w.in.room(p.text[:])
	n, _, _, err := w.recvmsg(fd, room, nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if n == 0 {
		return err
	}
	body := n
	if end := bytes.IndexByte(room[:n], 0); end >= 0 {
		n, body = end+1, end
	}
	if len(w.in.text)+body > w.size {
		return ErrMessageTooLong
	}
	return w.take(fd, n, p)
}

// take reads n bytes, none of them beyond the message, with the descriptors that are theirs.
func (w *wire) take(fd, n int, p *peek) error {
	in := &w.in
	have := len(in.text)
	if cap(in.text)-have < n {
		in.text = append(make([]byte, 0, have+n), in.text...)
	}
	n, oobn, flags, _, err := unix.Recvmsg(fd, in.text[have:have+n], p.control[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return nil // look again
	case err != nil:
		return fmt.Errorf("recvmsg: %w", err)
	}
	in.control(p.control[:oobn], flags)
	in.text = in.text[:have+n]
	if last := have + n - 1; last >= 0 && in.text[last] == 0 {
		in.text = in.text[:last:last]
		in.finish(nil)
	}
	return nil
}

// control takes what came beside the text.
func (in *incoming) control(oob []byte, flags int) {
	if flags&unix.MSG_CTRUNC != 0 {
		in.lost = true
	}
	for len(oob) >= unix.CmsgLen(0) {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		oob = rest
		if header.Level != unix.SOL_SOCKET {
			continue
		}
		switch header.Type {
		case unix.SCM_RIGHTS:
			in.fds = append(in.fds, integers(data)...)
		case unix.SCM_CREDENTIALS:
			if c := integers(data); len(c) >= 3 {
				in.from(Credentials{PID: c[0], UID: uint32(c[1]), GID: uint32(c[2])})
			}
		case unix.SCM_PIDFD: // the listener's owner set SO_PASSPIDFD
			discardAll(integers(data))
		}
	}
}

// integers reads the C ints of a control message.
func integers(data []byte) []int {
	n := make([]int, len(data)/4)
	for i := range n {
		n[i] = int(int32(binary.NativeEndian.Uint32(data[4*i:])))
	}
	return n
}

// rights is the control message that carries descriptors, nil for none.
func rights(fds []int) []byte {
	if len(fds) == 0 {
		return nil
	}
	return unix.UnixRights(fds...)
}

// send is RawConn.Write's callback: it writes what there is room for, and returns false to wait.
func (w *wire) send(fd uintptr) bool {
	for len(w.out.rest) > 0 {
		err := w.push(int(fd))
		if err == unix.EAGAIN {
			return !w.out.park
		}
		if err != nil {
			w.out.err = err
			return true
		}
	}
	return true
}

func (w *wire) push(fd int) error {
	if w.out.oob != nil && !drained(fd) {
		return unix.EAGAIN
	}
	n, err := unix.SendmsgN(fd, w.out.rest, w.out.oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	switch {
	case err == unix.EINTR:
		return nil
	case err == unix.EAGAIN:
		return err
	case err != nil:
		return fmt.Errorf("sendmsg: %w", err)
	}
	w.out.rest, w.out.oob = w.out.rest[n:], nil
	return nil
}

// drained says whether the peer has read everything. SIOCOUTQ counts the kernel's memory for what
// is unread (unix_outq_len in net/unix/af_unix.c), at least 512 bytes a message. The one byte that
// sock_wfree (net/core/sock.c) still holds while it wakes us is nothing unread.
func drained(fd int) bool {
	unread, err := kernel.Unsent(fd)
	return err != nil || unread < 256
}

// hungUp says whether the peer has closed its end. A peer that only shut down its writing half
// still reads replies.
func hungUp(fd uintptr) bool {
	for {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(poll, 0)
		if err != unix.EINTR {
			return err != nil || n > 0 && poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
		}
	}
}

// gone says whether an error means that the other end is closed.
func gone(err error) bool {
	return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, net.ErrClosed)
}

// discard closes a descriptor that nobody wanted. A TCP socket with SO_LINGER would block close(2)
// for as long as its sender chose, so the lingering is turned off; that it may be no socket does
// not matter.
func discard(fd int) {
	_ = kernel.StopLingering(fd)
	_ = unix.Close(fd)
}

func discardAll(fds []int) {
	for _, fd := range fds {
		discard(fd)
	}
}

// hangUp ends the conversation in both directions, which wakes who waits for the socket. What the
// peer was sent it can still read.
func hangUp(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}

// hushUp stops listening to the peer: the session reads what has come and then the end.
func hushUp(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RD) })
}

// drain takes what is left unread after a shutdown, so that the descriptors in it go through
// discard and not through the close(2) of the socket.
func drain(fd int) {
	p := peeks.Get().(*peek)
	defer peeks.Put(p)
	for {
		n, oobn, flags, _, err := unix.Recvmsg(fd, p.text[:], p.control[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		var in incoming
		in.control(p.control[:oobn], flags)
		discardAll(in.fds)
	}
}
