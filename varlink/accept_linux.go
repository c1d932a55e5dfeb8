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

// drainSocket is what wire.close does before it closes.
func drainSocket(fd int) {
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	drain(fd)
}
