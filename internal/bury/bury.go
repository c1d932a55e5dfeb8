//go:build linux

package bury

import "github.com/ivtd/ivt/internal/kernel"

// most is how many sockets are emptied at once. Each holds a thread.
const most = 64

// graves is as full as there are sockets being emptied.
var graves = make(chan struct{}, most)

// Socket hangs up on a SEQPACKET socket, for every copy of both its ends, and closes fd. If something is unread in it that is done on
// a goroutine that ends when the kernel has let go of it all.
func Socket(fd int) {
	kernel.Shutdown(fd) // nothing can come after it
	if kernel.RefusesDescriptors(fd) || !hasRecord(fd) {
		kernel.Close(fd)
		return
	}
	go func() {
		graves <- struct{}{}
		defer func() { <-graves }()
		kernel.Hurry(func() { empty(fd) })
	}()
}

// empty takes all records away, with the descriptors that they carry, and closes fd.
func empty(fd int) {
	for hasRecord(fd) {
		kernel.Discard(fd)
	}
	kernel.Close(fd)
}

func hasRecord(fd int) bool {
	unread, err := kernel.HasRecord(fd)
	return unread && err == nil // an error: it is no such socket
}
