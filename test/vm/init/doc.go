// Command init is the first process of the test VM. It mounts what Linux
// programs expect, loads the modules for user-space interrupts, runs the tests
// of its job one after another and powers off. Output, kernel log and results
// go to the harness through a virtio-serial port, see package wire.
//
// Started as "init run" by systemd it does the same without the mounts, and as
// "vm" it is a small command for people in the VM's shell: vm plug ID, vm
// unplug ID, vm qmp JSON, vm load MODULE, vm poweroff.
package main
