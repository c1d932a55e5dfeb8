package varlink

import (
	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/internal/kernel"
)

func acceptSocket(listener uintptr) (int, error) { return kernel.Accept(int(listener)) }

// mute says whether a peer has stopped writing before it wrote anything: nothing that it sent is unread, and nothing will come.
func mute(fd int) bool {
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil
}

// dismissal sends the reason why there is no session, if there is room in the socket.
func dismissal(fd int, why *Error) {
	f := newFrame()
	defer f.free()
	if _, err := f.encodeResponse(why.Name, why.Parameters, false); err == nil {
		_ = kernel.Send(fd, f.Bytes())
	}
}

func closeSocket(fd int) { _ = unix.Close(fd) }

// endSocket shuts a socket down and reports whether it is empty, so that to close it cannot take long. Descriptors that are wanted are
// received and discarded. Others are not, since to close them is worse than to drop them (package bury).
func endSocket(fd int, unwanted bool) (empty bool) {
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	if !unwanted {
		drain(fd)
	}
	unread, err := kernel.Unread(fd)
	return err == nil && unread == 0
}

// closing calls what closes a socket. With something in it nothing that can be interrupted is waited for.
func closing(empty bool, f func()) {
	if empty {
		f()
	} else {
		kernel.Hurry(f)
	}
}
