//go:build linux

package kernel

import "golang.org/x/sys/unix"

// Monotonic returns CLOCK_MONOTONIC in nanoseconds, the clock of a record's time.
func Monotonic() int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil { // cannot fail for this clock
		return 0
	}
	return t.Nano()
}
