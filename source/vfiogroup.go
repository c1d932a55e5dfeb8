//go:build linux

package source

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// The ways to a function.
const (
	wayGroup   = "group"   // /dev/vfio/N and a container: every kernel
	wayCdev    = "cdev"    // /dev/vfio/devices/vfioN and an iommufd: 6.6 and later
	wayNoIOMMU = "noiommu" // /dev/vfio/noiommu-N: no isolation at all
)

// An iommuGroup is what an IOMMU can isolate: one or more functions, which share the memory that they can
// reach and so have one fate. Its lock orders every change to every function in it.
type iommuGroup struct {
	number string
	way    string
	root   string
	users  int // guarded by groupsMu

	mu        sync.Mutex
	members   []*vfio // functions that are sources here
	file      int     // the group's own file, -1 by the cdev way
	container int     // container or iommufd; -1 while closed
	ioas      uint32  // the address space in an iommufd
	grantee   *irq.Claim
	dirty     bool    // a device grant has been out: container and descriptors are not fresh
	taking    *taking // while the group is being taken back from a device holder
}

var (
	groupsMu sync.Mutex
	groups   = map[string]*iommuGroup{}
)

// joinGroup returns the group of a function; leave ends its use.
func joinGroup(root, number, way string) *iommuGroup {
	groupsMu.Lock()
	defer groupsMu.Unlock()
	key := root + " " + way + " " + number
	g := groups[key]
	if g == nil {
		g = &iommuGroup{number: number, way: way, root: root, file: -1, container: -1}
		groups[key] = g
	}
	g.users++
	return g
}

func (g *iommuGroup) leave() {
	groupsMu.Lock()
	defer groupsMu.Unlock()
	if g.users--; g.users == 0 {
		delete(groups, g.root+" "+g.way+" "+g.number)
	}
}

// path is the group's own device file.
func (g *iommuGroup) path() string {
	if g.way == wayNoIOMMU {
		return filepath.Join(g.root, "dev/vfio/noiommu-"+g.number)
	}
	return filepath.Join(g.root, "dev/vfio", g.number)
}

// open gets a fresh container or I/O address space, with nothing mapped.
func (g *iommuGroup) open(f pciFunction, foreign func(string) []irq.Holder) error {
	if g.container >= 0 {
		return nil
	}
	if g.way == wayCdev {
		return g.openIOMMUFD(f, foreign)
	}
	return g.openContainer(f, foreign)
}

func (g *iommuGroup) openIOMMUFD(f pciFunction, foreign func(string) []irq.Holder) error {
	path := filepath.Join(g.root, "dev/iommu")
	fd, err := kernel.OpenDevice(path, 0)
	if err != nil {
		return f.openRefusal(path, err, foreign)
	}
	if g.ioas, err = kernel.AllocateIOAS(fd); err == nil {
		err = kernel.SetVFIOIOAS(fd, g.ioas) // so that a device holder maps memory in one way on all kernels
	}
	if err != nil {
		kernel.Close(fd)
		return fmt.Errorf("allocate an I/O address space for pci:%s: %w", f.address, err)
	}
	g.container = fd
	return nil
}

func (g *iommuGroup) openContainer(f pciFunction, foreign func(string) []irq.Holder) (err error) {
	if g.file, err = kernel.OpenDevice(g.path(), 0); err != nil {
		g.file = -1
		return f.openRefusal(g.path(), err, foreign)
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if flags, err := kernel.VFIOGroupStatus(g.file); err != nil {
		return fmt.Errorf("status of IOMMU group %s: %w", g.number, err)
	} else if flags&kernel.VFIOGroupViable == 0 {
		return f.notViable(g.root)
	}
	path := filepath.Join(g.root, "dev/vfio/vfio")
	if g.container, err = kernel.OpenDevice(path, 0); err != nil {
		g.container = -1
		return f.openRefusal(path, err, foreign)
	}
	kind := kernel.VFIOType1v2
	if g.way == wayNoIOMMU {
		kind = kernel.VFIONoIOMMU
	}
	if ok, err := kernel.HasVFIOExtension(g.container, kind); err != nil {
		return fmt.Errorf("ask %s for its kinds of IOMMU: %w", path, err)
	} else if !ok && kind == kernel.VFIOType1v2 {
		return f.refusal(irq.ErrNotSupported, irq.ReasonNoSuchSource, "the kernel's vfio_iommu_type1 is not loaded", "modprobe vfio_iommu_type1")
	}
	if err := kernel.SetVFIOContainer(g.file, g.container); err != nil {
		return fmt.Errorf("put IOMMU group %s into a container: %w", g.number, err)
	}
	if err := kernel.SetVFIOIOMMU(g.container, kind); err != nil {
		return fmt.Errorf("set up the IOMMU for group %s: %w", g.number, err)
	}
	return nil
}

// device opens a function of the group.
func (g *iommuGroup) device(f pciFunction, foreign func(string) []irq.Holder) (int, error) {
	if g.way != wayCdev {
		fd, err := kernel.OpenVFIODevice(g.file, f.address)
		if err != nil {
			return -1, f.openRefusal(g.path()+" "+f.address, err, foreign)
		}
		return fd, nil
	}
	path := filepath.Join(g.root, "dev/vfio/devices", f.cdev)
	fd, err := kernel.OpenDevice(path, 0)
	if err != nil {
		return -1, f.openRefusal(path, err, foreign)
	}
	if err = kernel.BindIOMMUFD(fd, g.container); isErrno(err, syscall.EINVAL) {
		err = syscall.EBUSY // bound already, by somebody else's descriptor
	}
	if err == nil {
		err = kernel.AttachIOAS(fd, g.ioas)
	}
	if err != nil {
		kernel.Close(fd)
		return -1, f.openRefusal(path, err, foreign)
	}
	return fd, nil
}

// close lets container and group go. Its functions must have been closed.
func (g *iommuGroup) close() {
	for _, fd := range []*int{&g.container, &g.file} {
		if *fd >= 0 {
			kernel.Close(*fd)
		}
		*fd = -1
	}
}

// claims counts the claims on all functions of the group.
func (g *iommuGroup) claims() (n int) {
	for _, m := range g.members {
		for _, w := range m.wires {
			n += len(w.claims)
		}
	}
	return n
}

// without takes s out of the members.
func (g *iommuGroup) without(s *vfio) {
	g.members = slices.DeleteFunc(g.members, func(m *vfio) bool { return m == s })
}
