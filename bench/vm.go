package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
)

// The rows of a device are measured in a VM with emulated devices, ours and the peer's in the same one. Time is the number of
// instructions there, 4 ns each, whatever else this machine does: only the ratios mean anything, and they are the same each time.
// In the VM this program has these rows and no others.
const vmKernel = "6.12" // stock, with tracefs

// deviceRowsMatch reports whether a VM is needed.
func deviceRowsMatch(only *regexp.Regexp) bool {
	return slices.ContainsFunc(deviceRows, func(r row) bool { return only.MatchString(r.name) })
}

// runVM measures the rows of devices in a VM, and passes on what it prints. With strict it reports whether all goals were reached.
func runVM(only string, rounds int, strict bool) bool {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		fmt.Printf("%-58s %v\n", "VM", skip("no QEMU, try: apt-get install qemu-system-x86"))
		return true
	}
	c := exec.Command("go", "run", "./test/vm/cmd/vmtest", "-icount", "-kernel", vmKernel, "-script", "bench/vm.sh", "./bench", "./bench/c", "./cmd/ivtd",
		"--", "-run", only, fmt.Sprintf("-strict=%t", strict), "-rounds", fmt.Sprint(min(rounds, 7)))
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	err := c.Run()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		fmt.Printf("%-58s %v\n", "VM", err)
	}
	return err == nil
}

func inVM() bool { return os.Getenv("IVT_VM") == "1" }
