//go:build linux

package kernel

import (
	"bytes"
	"errors"
	"os"
	"strconv"
)

// EventfdCount returns the count of an eventfd without taking it, from /proc/self/fdinfo (proc_pid_fdinfo(5)).
func EventfdCount(fd int) (uint64, error) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0, err
	}
	return parseEventfdCount(text)
}

var errNoEventfd = errors.New("fdinfo has no eventfd-count")

// parseEventfdCount reads the line "eventfd-count:                1f", a hexadecimal number.
func parseEventfdCount(text []byte) (uint64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("eventfd-count:")); ok {
			return strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		}
	}
	return 0, errNoEventfd
}
