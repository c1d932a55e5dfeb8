//go:build linux

package source

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// The ways to switch the interrupt of a UIO device on and off.
const (
	controlDevice = "irqcontrol" // a write to the device file, which its driver understands
	controlPCI    = "config"     // uio_pci_generic: INTx in configuration space, which its handler disables
)

// findControl finds out how, and leaves the interrupt off; "" if there is no way.
func (u *uio) findControl() string {
	for _, u.control = range []string{controlDevice, controlPCI} {
		if u.switchInterrupt(false) == nil { // ENOSYS: the driver has no irqcontrol
			return u.control
		}
	}
	return ""
}

// switchInterrupt switches it in the way that was found.
func (u *uio) switchInterrupt(on bool) error {
	if u.control == controlDevice {
		_, err := kernel.Write(u.fd, word(on))
		return err
	}
	switch driver := linkName(filepath.Join(u.sysfs(), "device"), "driver"); driver {
	case "uio_pci_generic":
	case "":
		return syscall.ENODEV // unbound: the function may be another driver's by now
	default:
		return fmt.Errorf("%s is not uio_pci_generic", driver)
	}
	return setINTx(filepath.Join(u.sysfs(), "device/config"), on)
}

func word(on bool) []byte {
	b := make([]byte, 4)
	if on {
		binary.NativeEndian.PutUint32(b, 1)
	}
	return b
}

func nativeUint32(b [4]byte) uint32 { return binary.NativeEndian.Uint32(b[:]) }

// The command register of PCI and its bit that disables INTx (PCI Local Bus 3.0, 6.2.2).
const (
	pciCommand     = 4
	pciINTxDisable = 1 << 10
)

// setINTx changes the one bit of a function's command register.
func setINTx(config string, on bool) error {
	f, err := os.OpenFile(config, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [2]byte
	if _, err := f.ReadAt(b[:], pciCommand); err != nil {
		return err
	}
	command := binary.LittleEndian.Uint16(b[:]) &^ pciINTxDisable
	if !on {
		command |= pciINTxDisable
	}
	binary.LittleEndian.PutUint16(b[:], command)
	_, err = f.WriteAt(b[:], pciCommand)
	return err
}
