package ivt

import (
	"fmt"
	"io"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// mapBAR maps a region of a VFIO device.
func mapBAR(device, bar int) ([]byte, error) {
	if bar < 0 || bar > 5 {
		return nil, syscall.EINVAL
	}
	region, err := kernel.GetVFIORegionInfo(device, bar)
	if err != nil {
		return nil, err
	}
	if region.Size == 0 || region.Flags&kernel.VFIORegionCanMap == 0 {
		return nil, syscall.ENXIO
	}
	return kernel.Mmap(device, int64(region.Offset), int(region.Size))
}

// configSpace reads or writes all of b.
func configSpace(device int, b []byte, offset int64, write bool) error {
	region, err := kernel.GetVFIORegionInfo(device, kernel.VFIOConfigRegion)
	if err != nil {
		return err
	}
	if offset < 0 || uint64(offset)+uint64(len(b)) > region.Size {
		return fmt.Errorf("it has %d bytes: %w", region.Size, syscall.EINVAL)
	}
	access := kernel.ReadAt
	if write {
		access = kernel.WriteAt
	}
	if n, err := access(device, b, int64(region.Offset)+offset); err != nil {
		return err
	} else if n < len(b) {
		return io.ErrShortWrite
	}
	return nil
}

func resetDevice(device int) error { return kernel.ResetVFIODevice(device) }

func mapDMA(container int, memory []byte, iova uint64) error {
	return kernel.MapDMA(container, memory, iova)
}

func unmapDMA(container int, iova, length uint64) error {
	n, err := kernel.UnmapDMA(container, iova, length)
	if err == nil && n != length {
		return fmt.Errorf("%d bytes were mapped there: %w", n, syscall.EINVAL)
	}
	return err
}

// closeDevice lets go of a granted device, and of its registers, which otherwise keep it open although its descriptor is closed.
func (c *Connection) closeDevice() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.mapped {
		kernel.Blank(r) // it can only fail for want of memory; then the end of the process lets go
	}
	c.mapped = nil
	for _, fd := range []*int{&c.device, &c.container} {
		if *fd >= 0 {
			kernel.Close(*fd)
		}
		*fd = -1
	}
}

func load32(r Registers, offset int) uint32     { return kernel.Load32(r, offset) }
func load64(r Registers, offset int) uint64     { return kernel.Load64(r, offset) }
func store32(r Registers, offset int, v uint32) { kernel.Store32(r, offset, v) }
func store64(r Registers, offset int, v uint64) { kernel.Store64(r, offset, v) }
