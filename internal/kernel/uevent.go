//go:build linux

package kernel

import "golang.org/x/sys/unix"

// UeventSocket returns a non-blocking socket that hears what the kernel says of devices that come and go
// (NETLINK_KOBJECT_UEVENT, group 1). Only the first network name space hears it before Linux 4.18.
func UeventSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// ReceiveUevent reads one message. fromKernel is false for what a process sent, to be ignored. EAGAIN:
// none; ENOBUFS: some were dropped, look for yourself.
func ReceiveUevent(fd int, b []byte) (n int, fromKernel bool, err error) {
	for {
		n, from, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		address, ok := from.(*unix.SockaddrNetlink)
		return n, ok && address.Pid == 0, err
	}
}
