//go:build linux

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of linux/vfio.h: all are _IO(VFIO_TYPE, VFIO_BASE+n), so the number carries no size.
const (
	vfioType = ';'
	vfioBase = 100

	vfioCheckExtension    = vfioType<<8 | vfioBase + 1
	vfioSetIOMMU          = vfioType<<8 | vfioBase + 2
	vfioGroupGetStatus    = vfioType<<8 | vfioBase + 3
	vfioGroupSetContainer = vfioType<<8 | vfioBase + 4
	vfioGroupGetDevice    = vfioType<<8 | vfioBase + 6
	vfioDeviceRegionInfo  = vfioType<<8 | vfioBase + 8
	vfioDeviceIRQInfo     = vfioType<<8 | vfioBase + 9
	vfioDeviceSetIRQs     = vfioType<<8 | vfioBase + 10
	vfioDeviceReset       = vfioType<<8 | vfioBase + 11
	vfioMapDMA            = vfioType<<8 | vfioBase + 13
	vfioUnmapDMA          = vfioType<<8 | vfioBase + 14
)

// Kinds of IOMMU for SetVFIOIOMMU and HasVFIOExtension.
const (
	VFIOType1v2 = 3
	VFIONoIOMMU = 8
)

// HasVFIOExtension asks whether a container supports a kind of IOMMU (VFIO_CHECK_EXTENSION).
func HasVFIOExtension(container, kind int) (bool, error) {
	r, err := ioctl(container, vfioCheckExtension, uintptr(kind))
	return r > 0, err
}

// SetVFIOIOMMU sets up the IOMMU of a container that has a group (VFIO_SET_IOMMU).
func SetVFIOIOMMU(container, kind int) error {
	_, err := ioctl(container, vfioSetIOMMU, uintptr(kind))
	return err
}

// The states of a group (VFIO_GROUP_FLAGS_*). A group is viable if no function in it has a driver that could do DMA.
const (
	VFIOGroupViable       = 1 << 0
	VFIOGroupHasContainer = 1 << 1
)

// VFIOGroupStatus returns the flags of a group (VFIO_GROUP_GET_STATUS).
func VFIOGroupStatus(group int) (flags uint32, err error) {
	s := struct{ size, flags uint32 }{}
	s.size = uint32(unsafe.Sizeof(s))
	_, err = ioctlOf(group, vfioGroupGetStatus, &s)
	return s.flags, err
}

// SetVFIOContainer puts a group into a container (VFIO_GROUP_SET_CONTAINER).
func SetVFIOContainer(group, container int) error {
	fd := int32(container)
	_, err := ioctlOf(group, vfioGroupSetContainer, &fd)
	return err
}

// OpenVFIODevice returns a descriptor of a function of the group, by its PCI address (VFIO_GROUP_GET_DEVICE_FD).
func OpenVFIODevice(group int, address string) (int, error) {
	name := append([]byte(address), 0)
	return ioctlOf(group, vfioGroupGetDevice, &name[0])
}

// VFIORegionCanMap is the flag of a region that Mmap works on.
const VFIORegionCanMap = 1 << 2

// Regions of a PCI function (VFIO_PCI_*_REGION_INDEX). BARs are 0 to 5.
const VFIOConfigRegion = 7

// VFIORegionInfo is struct vfio_region_info.
type VFIORegionInfo struct {
	size   uint32
	Flags  uint32
	index  uint32
	_      uint32 // cap_offset
	Size   uint64
	Offset uint64 // where the region is in the device descriptor, for pread, pwrite and mmap
}

// GetVFIORegionInfo is VFIO_DEVICE_GET_REGION_INFO.
func GetVFIORegionInfo(device, region int) (VFIORegionInfo, error) {
	i := VFIORegionInfo{index: uint32(region)}
	i.size = uint32(unsafe.Sizeof(i))
	_, err := ioctlOf(device, vfioDeviceRegionInfo, &i)
	return i, err
}

// ResetVFIODevice resets the function (VFIO_DEVICE_RESET). The wiring of interrupts stays. ENOTTY: it cannot.
func ResetVFIODevice(device int) error {
	_, err := ioctl(device, vfioDeviceReset, 0)
	return err
}

// MapDMA makes length bytes of this process's memory readable and writable for the container's devices at
// iova (VFIO_IOMMU_MAP_DMA). All are multiples of the page size.
func MapDMA(container int, memory []byte, iova uint64) error {
	m := struct {
		size, flags           uint32
		address, iova, length uint64
	}{flags: 1 | 2, address: uint64(uintptr(unsafe.Pointer(&memory[0]))), iova: iova, length: uint64(len(memory))}
	m.size = uint32(unsafe.Sizeof(m))
	_, err := ioctlOf(container, vfioMapDMA, &m)
	return err
}

// UnmapAllDMA removes every mapping of a container (VFIO_IOMMU_UNMAP_DMA with VFIO_DMA_UNMAP_FLAG_ALL, Linux 5.12).
func UnmapAllDMA(container int) error {
	m := struct {
		size, flags  uint32
		iova, length uint64
	}{flags: 1 << 1}
	m.size = uint32(unsafe.Sizeof(m))
	_, err := ioctlOf(container, vfioUnmapDMA, &m)
	return err
}

// UnmapDMA removes what MapDMA mapped from iova on (VFIO_IOMMU_UNMAP_DMA) and returns how many bytes that were. EINVAL: a
// mapping would be cut in two.
func UnmapDMA(container int, iova, length uint64) (uint64, error) {
	m := struct {
		size, flags  uint32
		iova, length uint64
	}{iova: iova, length: length}
	m.size = uint32(unsafe.Sizeof(m))
	_, err := ioctlOf(container, vfioUnmapDMA, &m)
	return m.length, err
}

// Mmap maps length bytes of a descriptor's file, shared, readable and writable.
func Mmap(fd int, offset int64, length int) ([]byte, error) {
	return unix.Mmap(fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

// Blank puts memory of nobody in the place of what Mmap returned: it reads as zeros, and the file is let go of, while
// addresses in there stay good.
func Blank(b []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&b[0]), uintptr(len(b)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err
}
