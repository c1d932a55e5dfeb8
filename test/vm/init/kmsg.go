package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

// kernelLog sends what the kernel logs from now on; what it said before is on
// the console, as far as it is a warning.
//
// It polls rather than blocks, so that at the end of a test forward has sent
// all that there is.
type kernelLog struct {
	mu   sync.Mutex
	fd   int
	line *line
}

func openKernelLog(l *line) (*kernelLog, error) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/kmsg: %w", err)
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		return nil, fmt.Errorf("/dev/kmsg: %w", err)
	}
	k := &kernelLog{fd: fd, line: l}
	go func() { // until power-off
		for range time.Tick(100 * time.Millisecond) {
			k.forward()
		}
	}()
	return k, nil
}

// forward sends all that the kernel logged so far.
func (k *kernelLog) forward() {
	k.mu.Lock()
	defer k.mu.Unlock()
	buf := make([]byte, 8192)
	for {
		n, err := unix.Read(k.fd, buf)
		switch {
		case err == nil:
			k.line.send(wire.Frame{Kernel: kernelLine(string(buf[:n]))})
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR): // EPIPE: some were overwritten
		default:
			return // EAGAIN: that is all
		}
	}
}

// kernelLine turns "4,629,1234567,-;text" into "[    1.234567] text".
func kernelLine(record string) string {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	var prio, seq, usec uint64
	if _, err := fmt.Sscanf(head, "%d,%d,%d", &prio, &seq, &usec); err != nil {
		return text
	}
	return fmt.Sprintf("[%5d.%06d] %s", usec/1e6, usec%1e6, text)
}
