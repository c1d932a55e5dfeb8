// Package kernels gets the Linux kernels that the VM tests boot, without
// changing the machine: stock ones as Debian packages that are unpacked into a
// cache, and an own one, built from Debian's kernel source with a small
// configuration, for what Debian leaves out.
//
// A kernel is asked for by the start of its version ("6.1", "6.12", "7") or as
// [Own]. What is in the cache is used without touching the network; [Update]
// asks Debian for something newer.
//
// The cache is ${XDG_CACHE_HOME:-$HOME/.cache}/ivt/kernels. A folder there is
// complete once it has its final name, and its name says all that it depends
// on, so removing any of them costs only time.
package kernels
