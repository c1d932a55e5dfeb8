package vm

import (
	_ "embed"
	"fmt"
	"path/filepath"
)

// pinAML describes a GPIO controller and a serial port at one of its lines to the kernel: testdata/pins.asl, compiled.
// All drivers are in the stock kernels; the own one has none of the controller.
//
//go:embed testdata/pins.aml
var pinAML []byte

// Where the registers are: in memory of the VM that its kernel leaves alone, since QEMU has no such hardware.
const pinRegisters = 0x20000000

// pinMemory is what the kernel is told of it.
var pinMemory = fmt.Sprintf("memmap=16K$%#x", pinRegisters)

// pinPresets are what firmware has written when the kernel comes up, by address less pinRegisters.
var pinPresets = []struct{ at, value uint32 }{
	{0x000c, 0x400}, {0x100c, 0x400}, {0x200c, 0x400}, // PADBAR: where the registers of each pin begin
	{0x00d0, 0xffffff},   // HOSTSW_OWN: pins 0 to 23 can be interrupts
	{0x3004, 0x60 << 24}, // the port's LSR: all is sent
}

// pinArgs are the presets, and an edu whose INTx is the controller's interrupt.
func pinArgs() []string {
	args := []string{"-device", "edu,id=pins0,addr=0x19"}
	for _, p := range pinPresets {
		args = append(args, "-device", fmt.Sprintf("loader,addr=%#x,data=%#x,data-len=4", pinRegisters+p.at, p.value))
	}
	return args
}

func (m *machine) pinTable() string { return filepath.Join(m.dir, "pins.aml") }
