package ivt

import (
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/ivtd/ivt/irq"
)

// A Device is the device whose interrupts the connection has, with all that VFIO lets a driver do with it: registers,
// configuration space, and DMA to the memory that is mapped for it and to no other. It comes with [Access](irq.AccessDevice)
// and goes with the connection; then its methods are irq.ErrNotConnected, and ivtd resets it and unmaps all.
// Its methods may be called from any goroutine.
//
// What is not here can be done with the descriptors themselves, see [Device.Control]. Interrupts are better left alone there:
// ivtd has wired them.
type Device struct{ c *Connection }

// Device returns the device that was granted with the connection. irq.ErrInvalidParameter: it was not asked for with
// [Access](irq.AccessDevice).
func (c *Connection) Device() (*Device, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.device < 0 && c.err == nil && !c.disconnected {
		return nil, malformed("use the device", c.id, "the connection has interrupts only: ask for it with Access(irq.AccessDevice)")
	}
	return &Device{c}, nil
}

// Control calls f with the descriptors of the device and of its container, which are good until f returns; f does not use the
// connection. The container is
// VFIO's, or an iommufd that understands the same ioctls.
func (d *Device) Control(f func(device, container int) error) error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	if d.c.device < 0 {
		return over(d.c.id, irq.ReasonClosed, "the device went with the connection")
	}
	return f(d.c.device, d.c.container)
}

// failed says what was tried; no error stays none.
func (d *Device) failed(operation, detail string, code irq.Code, err error) error {
	if err == nil || errors.Is(err, irq.ErrNotConnected) {
		return err
	}
	return &irq.Error{Code: code, Operation: operation, Name: d.c.id, Detail: detail, Err: err}
}

// Registers maps a BAR, 0 to 5. irq.ErrInvalidParameter: the device has no such BAR, or it cannot be mapped.
//
// When the connection is over, whatever ended it, the device is not there any more: they read as zeros.
func (d *Device) Registers(bar int) (r Registers, err error) {
	err = d.Control(func(device, _ int) (err error) {
		if r, err = mapBAR(device, bar); err == nil {
			d.c.mapped = append(d.c.mapped, r)
		}
		return err
	})
	return r, d.failed("map registers", "the device has no such BAR that can be mapped", irq.ErrInvalidParameter, err)
}

// Registers are a BAR of a device, mapped. Offsets are in bytes and aligned; outside of the BAR a method panics, as an index
// does. The bytes are accessible as such, too, but Go does not say with how many accesses.
type Registers []byte

// Load32 reads a register of 32 bits with one access.
func (r Registers) Load32(offset int) uint32 { return load32(r, offset) }

// Store32 writes one.
func (r Registers) Store32(offset int, v uint32) { store32(r, offset, v) }

// Load64 reads a register of 64 bits with one access.
func (r Registers) Load64(offset int) uint64 { return load64(r, offset) }

// Store64 writes one.
func (r Registers) Store64(offset int, v uint64) { store64(r, offset, v) }

// ReadConfig reads configuration space from an offset on.
func (d *Device) ReadConfig(b []byte, offset int64) error {
	err := d.Control(func(device, _ int) error { return configSpace(device, b, offset, false) })
	return d.failed("read configuration space", "", irq.ErrInvalidParameter, err)
}

// WriteConfig writes configuration space; the kernel does not let through what would harm others.
func (d *Device) WriteConfig(b []byte, offset int64) error {
	err := d.Control(func(device, _ int) error { return configSpace(device, b, offset, true) })
	return d.failed("write configuration space", "", irq.ErrInvalidParameter, err)
}

// The command register of PCI.
const (
	commandRegister  = 4
	commandMemory    = 1 << 1
	commandBusMaster = 1 << 2
)

// Enable lets the device answer to its registers and be master of the bus, which DMA and messages of interrupts want. It is the
// first thing that a driver does.
func (d *Device) Enable() error {
	b := make([]byte, 2)
	if err := d.ReadConfig(b, commandRegister); err != nil {
		return err
	}
	binary.LittleEndian.PutUint16(b, binary.LittleEndian.Uint16(b)|commandMemory|commandBusMaster)
	return d.WriteConfig(b, commandRegister)
}

// Reset resets the function. The interrupts stay connected. irq.ErrNotSupported: it cannot be.
func (d *Device) Reset() error {
	return d.failed("reset", "", irq.ErrNotSupported, d.Control(func(device, _ int) error { return resetDevice(device) }))
}

// MapDMA lets the device read and write memory, at the address iova. Both are whole pages. The memory is best the caller's own,
// of syscall.Mmap with MAP_SHARED and MAP_ANONYMOUS: what is Go's may be collected while the device still writes to it,
// and what is not shared stays behind in a child. It is mapped until UnmapDMA or the end of the connection.
//
// Errors: irq.ErrInvalidParameter (no whole pages, iova is mapped already or reserved), irq.ErrNoResources (RLIMIT_MEMLOCK),
// irq.ErrNotSupported (the device is driven without IOMMU).
func (d *Device) MapDMA(memory []byte, iova uint64) error {
	if len(memory) == 0 {
		return malformed("map memory", d.c.id, "there is none")
	}
	err := d.Control(func(_, container int) error { return mapDMA(container, memory, iova) })
	code, detail := irq.ErrInvalidParameter, "the device needs whole pages, at an address that is free"
	switch {
	case errors.Is(err, syscall.ENOMEM):
		code, detail = irq.ErrNoResources, "more memory than this process may lock (ulimit -l)"
	case errors.Is(err, syscall.ENOTTY):
		code, detail = irq.ErrNotSupported, "the device is driven without IOMMU"
	}
	return d.failed("map memory", detail, code, err)
}

// UnmapDMA undoes MapDMA for length bytes from iova on. When it returns, the device can neither read nor write them.
func (d *Device) UnmapDMA(iova, length uint64) error {
	err := d.Control(func(_, container int) error { return unmapDMA(container, iova, length) })
	return d.failed("unmap memory", "a mapping is undone whole", irq.ErrInvalidParameter, err)
}
