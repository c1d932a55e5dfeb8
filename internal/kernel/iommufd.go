//go:build linux

package kernel

import "unsafe"

// Requests of linux/iommufd.h and, for a character device of VFIO, linux/vfio.h (Linux 6.6).
const (
	iommuIOASAlloc = ';'<<8 | 0x81
	iommuIOASUnmap = ';'<<8 | 0x86
	iommuVFIOIOAS  = ';'<<8 | 0x88

	vfioDeviceBind   = vfioType<<8 | vfioBase + 18
	vfioDeviceAttach = vfioType<<8 | vfioBase + 19
)

// AllocateIOAS makes an empty I/O address space in an iommufd and returns its number (IOMMU_IOAS_ALLOC).
func AllocateIOAS(iommufd int) (uint32, error) {
	a := struct{ size, flags, id uint32 }{}
	a.size = uint32(unsafe.Sizeof(a))
	_, err := ioctlOf(iommufd, iommuIOASAlloc, &a)
	return a.id, err
}

// UnmapIOAS removes every mapping of an I/O address space (IOMMU_IOAS_UNMAP). ENOENT: there was none.
func UnmapIOAS(iommufd int, ioas uint32) error {
	m := struct {
		size, ioas   uint32
		iova, length uint64
	}{ioas: ioas, length: ^uint64(0)}
	m.size = uint32(unsafe.Sizeof(m))
	_, err := ioctlOf(iommufd, iommuIOASUnmap, &m)
	return err
}

// SetVFIOIOAS has the ioctls of a VFIO container (MapDMA, UnmapAllDMA) work on an iommufd, for this I/O
// address space (IOMMU_VFIO_IOAS).
func SetVFIOIOAS(iommufd int, ioas uint32) error {
	v := struct {
		size, ioas   uint32
		operation, _ uint16
	}{ioas: ioas, operation: 1}
	v.size = uint32(unsafe.Sizeof(v))
	_, err := ioctlOf(iommufd, iommuVFIOIOAS, &v)
	return err
}

// BindIOMMUFD gives a character device of VFIO to an iommufd; before that it answers EINVAL to
// everything (VFIO_DEVICE_BIND_IOMMUFD). EINVAL: it is bound already; EPERM, EBUSY: its group is taken in another way.
func BindIOMMUFD(device, iommufd int) error {
	b := struct {
		size, flags uint32
		iommufd     int32
		id          uint32
	}{iommufd: int32(iommufd)}
	b.size = uint32(unsafe.Sizeof(b))
	_, err := ioctlOf(device, vfioDeviceBind, &b)
	return err
}

// AttachIOAS has the device use an I/O address space, in place of the one it used (VFIO_DEVICE_ATTACH_IOMMUFD_PT).
func AttachIOAS(device int, ioas uint32) error {
	a := struct{ size, flags, id uint32 }{id: ioas}
	a.size = uint32(unsafe.Sizeof(a))
	_, err := ioctlOf(device, vfioDeviceAttach, &a)
	return err
}
