// Package examples runs the programs of the folder examples in the VM, on emulated devices: ivtd is a process of its own, and so
// is each driver, of a user without privileges.
package examples
