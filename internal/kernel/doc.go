// Package kernel has the system calls of ivt: one function per call, no policy. All ioctl, unsafe and
// socket-option code of the project is here (package varlink keeps its own two calls), so that what is
// dangerous can be read in one place. A test of the import graph holds that.
package kernel
