//go:build linux

package source

import "github.com/ivtd/ivt/internal/kernel"

// irqPort is what VFIO does with the interrupts of one function. There is one implementation; tests of what
// happens when the kernel says no have another.
type irqPort interface {
	Info(index int) (kernel.VFIOIRQInfo, error)
	Trigger(index, start, eventfd int) (short int, err error)
	Disable(index int) error
	Ring(index, start int) error
	Mask(index, start int) error
	Unmask(index, start int) error
	UnmaskBy(index, start, eventfd int) error
	Reset() error
}

// devicePort is a VFIO device descriptor.
type devicePort int

func (d devicePort) Info(index int) (kernel.VFIOIRQInfo, error) {
	return kernel.GetVFIOIRQInfo(int(d), index)
}

func (d devicePort) Trigger(index, start, eventfd int) (int, error) {
	return kernel.SetVFIOTrigger(int(d), index, start, eventfd)
}

func (d devicePort) Disable(index int) error       { return kernel.DisableVFIOIndex(int(d), index) }
func (d devicePort) Ring(index, start int) error   { return kernel.RingVFIO(int(d), index, start) }
func (d devicePort) Mask(index, start int) error   { return kernel.MaskVFIO(int(d), index, start) }
func (d devicePort) Unmask(index, start int) error { return kernel.UnmaskVFIO(int(d), index, start) }
func (d devicePort) UnmaskBy(index, start, eventfd int) error {
	return kernel.SetVFIOUnmask(int(d), index, start, eventfd)
}
func (d devicePort) Reset() error { return kernel.ResetVFIODevice(int(d)) }
