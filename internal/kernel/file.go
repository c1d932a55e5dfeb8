//go:build linux

package kernel

import "golang.org/x/sys/unix"

// ReadFile reads a file of /proc or /sys to its end, with the fewest calls: such a file has no size, is always ready, and
// nobody waits for it in Go's poller. Errors are errnos of open(2) and read(2).
func ReadFile(path string) ([]byte, error) {
	fd, err := OpenToRead(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buffer := make([]byte, 0, 512)
	for {
		n, err := unix.Read(fd, buffer[len(buffer):cap(buffer)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return buffer, nil
		}
		if buffer = buffer[:len(buffer)+n]; len(buffer) == cap(buffer) {
			buffer = append(buffer, 0)[:len(buffer)]
		}
	}
}

// OpenToRead opens a file for reading, close-on-exec and outside Go's poller.
func OpenToRead(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
