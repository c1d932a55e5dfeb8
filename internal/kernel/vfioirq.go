//go:build linux

package kernel

import (
	"unsafe"
)

// Interrupt indexes of a PCI function (VFIO_PCI_*_IRQ_INDEX, linux/vfio.h).
const (
	VFIOIntx = 0
	VFIOMSI  = 1
	VFIOMSIX = 2
	VFIOErr  = 3 // an uncorrectable error; only where the function is PCIe, else EINVAL
	VFIOReq  = 4 // the kernel asks for the device: an unbind or unplug waits
)

// Flags of VFIOIRQInfo. The kernel sets VFIOEventfd even where Count is 0: go by Count.
const (
	VFIOEventfd    = 1 << 0
	VFIOMaskable   = 1 << 1
	VFIOAutomasked = 1 << 2
	VFIONoResize   = 1 << 3 // the first SET_IRQS fixes the number of vectors
)

// VFIOIRQInfo is struct vfio_irq_info.
type VFIOIRQInfo struct {
	size  uint32
	Flags uint32
	index uint32
	Count uint32
}

// GetVFIOIRQInfo is VFIO_DEVICE_GET_IRQ_INFO. EINVAL: the function has no such index.
func GetVFIOIRQInfo(device, index int) (VFIOIRQInfo, error) {
	i := VFIOIRQInfo{index: uint32(index)}
	i.size = uint32(unsafe.Sizeof(i))
	_, err := ioctlOf(device, vfioDeviceIRQInfo, &i)
	return i, err
}

// Flags of struct vfio_irq_set.
const (
	setNone    = 1 << 0
	setEventfd = 1 << 2
	setMask    = 1 << 3
	setUnmask  = 1 << 4
	setTrigger = 1 << 5
)

// irqSet is struct vfio_irq_set with at most one eventfd.
type irqSet struct {
	size, flags, index, start, count uint32
	fd                               int32
}

// setIRQs is VFIO_DEVICE_SET_IRQS. A positive result is no success: it is how many vectors could be had.
func setIRQs(device int, s irqSet) (short int, err error) {
	s.size = uint32(unsafe.Offsetof(s.fd))
	if s.flags&setEventfd != 0 {
		s.size = uint32(unsafe.Sizeof(s))
	}
	return ioctlOf(device, vfioDeviceSetIRQs, &s)
}

// SetVFIOTrigger has vector start of an index signal eventfd; -1: none. It replaces what was there without a word. The
// first one of an index enables it with start+1 vectors. short > 0: so many vectors the host has, and nothing was done.
func SetVFIOTrigger(device, index, start, eventfd int) (short int, err error) {
	return setIRQs(device, irqSet{flags: setEventfd | setTrigger, index: uint32(index), start: uint32(start), count: 1, fd: int32(eventfd)})
}

// DisableVFIOIndex takes the whole index down (DATA_NONE, count 0).
func DisableVFIOIndex(device, index int) error {
	_, err := setIRQs(device, irqSet{flags: setNone | setTrigger, index: uint32(index)})
	return err
}

// RingVFIO signals the eventfd of a vector as its interrupt would (DATA_NONE|ACTION_TRIGGER): the loopback.
// EINVAL: the index is not enabled.
func RingVFIO(device, index, start int) error {
	_, err := setIRQs(device, irqSet{flags: setNone | setTrigger, index: uint32(index), start: uint32(start), count: 1})
	return err
}

// MaskVFIO masks a vector; only INTx can be (ENOTTY).
func MaskVFIO(device, index, start int) error {
	_, err := setIRQs(device, irqSet{flags: setNone | setMask, index: uint32(index), start: uint32(start), count: 1})
	return err
}

// UnmaskVFIO unmasks a vector; a level that is still high fires at once.
func UnmaskVFIO(device, index, start int) error {
	_, err := setIRQs(device, irqSet{flags: setNone | setUnmask, index: uint32(index), start: uint32(start), count: 1})
	return err
}

// SetVFIOUnmask lets whoever writes eventfd unmask a vector; -1 cuts the one that is set. There is one
// at a time: EBUSY if one is set already.
func SetVFIOUnmask(device, index, start, eventfd int) error {
	_, err := setIRQs(device, irqSet{flags: setEventfd | setUnmask, index: uint32(index), start: uint32(start), count: 1, fd: int32(eventfd)})
	return err
}
