// Package kernel is where this module meets the Linux kernel: the only code with ioctl numbers, unsafe
// and socket options. It holds one function per call and no policy; errors are bare errnos, for the
// caller to say what was tried. Descriptors are plain integers, and who got one closes it.
//
// Each file names the kernel header that it follows. Numbers are derived from unsafe.Sizeof where the
// header derives them from a structure.
package kernel
