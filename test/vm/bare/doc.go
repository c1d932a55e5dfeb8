// Package bare has tests of what Linux does by itself, without ivt: that the
// test VM is what it should be on every kernel, and that the trouble which ivt
// is there for is real. They use nothing but system calls.
package bare
