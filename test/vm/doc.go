// Package vm boots real Linux kernels with emulated devices and runs Go tests
// in them.
//
// A test package belongs to the VM if its tests import
// github.com/ivtd/ivt/test/vm/guest. On an ordinary machine such tests are
// skipped; `go run ./test/vm/cmd/vmtest -kernel 6.1 ./test/vm/bare` compiles
// the package, boots the kernel in QEMU with software emulation, runs the
// binary under a small init and prints what `go test` would. `make test-vm`
// does it for all packages on all kernels, `make vm-shell` gives a person a
// shell in there.
//
// Comments in a package's test files say what else it needs:
//
//	//vm:program ./cmd/ivtd ./examples/deaf   programs to build and put into /work/bin (Go, or a folder of C or Rust files)
//	//vm:file testdata/ivtd.service           files to put beside the test
//	//vm:host od dd                           programs of this machine, into /work/host, with their libraries
//	//vm:python json socket                   its python3, likewise, with what these modules import
//	//vm:kernel own 7                         only these kernels
//	//vm:run ^TestVM                          only these tests
//	//vm:iommu off                            a machine without IOMMU
//	//vm:pins on                              a machine with a pin controller, see testdata/pins.asl
//	//vm:init systemd                         systemd is process 1
//
// Variables of the environment that begin with IVT_TEST_ are passed on to the
// tests.
//
// A pass is remembered by the content of kernel, initramfs and machine, and
// printed as "(cached)" the next time. A kernel fault (panic, oops, WARNING,
// lock-up) fails the test that ran, with the kernel's lines; a stall that the
// kernel itself takes for a false positive, or that comes while the host gives
// the VM next to no time, is noted and fails nothing.
//
// A test that does not end is made to print its goroutines and killed by the
// VM's init. A VM of which nothing is heard is examined before it is killed:
// which test ran, what QEMU's threads, its processors and their interrupt
// controllers do, and, after an NMI, what the kernel has to say. The packages
// behind it are run in another VM.
package vm
