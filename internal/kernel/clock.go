//go:build linux

package kernel

import _ "unsafe" // for linkname

// Monotonic returns CLOCK_MONOTONIC in nanoseconds, the clock of a record's time. It is no system call: the runtime reads the
// clock in the vDSO where there is one (vdso(7)).
//
//go:linkname Monotonic runtime.nanotime
func Monotonic() int64
