//go:build linux

package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A pciFunction is one PCI function as /sys shows it (Documentation/ABI/testing/sysfs-bus-pci).
type pciFunction struct {
	address string            // "0000:3b:00.0"
	path    string            // where its attributes are
	attrs   map[string]string // vendor, device, class, driver, …
	driver  string            // "" if none
	group   string            // number of its IOMMU group, "" if none
	cdev    string            // "vfio3" if it has a character device of its own
}

// vfioDrivers are the drivers of the kernel that hand a function to user space through VFIO.
var vfioDrivers = []string{"vfio-pci", "mlx5-vfio-pci", "hisi-acc-vfio-pci", "pds-vfio-pci", "virtio-vfio-pci", "nvgrace-gpu-vfio-pci", "qat_vfio_pci"}

var pciAddress = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`) })

const pciDevices = "sys/bus/pci/devices"

// pciFunctions lists the functions below root, by address.
func pciFunctions(root string) ([]pciFunction, error) {
	entries, err := os.ReadDir(filepath.Join(root, pciDevices))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a machine without PCI
	}
	var all []pciFunction
	for _, e := range entries {
		if f, err := readFunction(root, e.Name()); err == nil { // else it has just gone
			all = append(all, f)
		}
	}
	return all, err
}

// readFunction reads one function; fs.ErrNotExist if there is none at that address.
func readFunction(root, address string) (pciFunction, error) {
	if !pciAddress().MatchString(address) {
		return pciFunction{}, fs.ErrNotExist
	}
	path := filepath.Join(root, pciDevices, address)
	if _, err := os.Stat(path); err != nil {
		return pciFunction{}, err
	}
	f := pciFunction{address: address, path: path, attrs: map[string]string{"name": address}}
	for _, name := range []string{"vendor", "device", "class", "subsystem_vendor", "subsystem_device", "revision"} {
		if text, err := os.ReadFile(filepath.Join(path, name)); err == nil {
			f.attrs[name] = strings.TrimPrefix(strings.TrimSpace(string(text)), "0x")
		}
	}
	f.driver = linkName(path, "driver")
	f.group = linkName(path, "iommu_group")
	if f.driver != "" {
		f.attrs["driver"] = f.driver
	}
	if cdevs, err := os.ReadDir(filepath.Join(path, "vfio-dev")); err == nil && len(cdevs) == 1 {
		f.cdev = cdevs[0].Name()
	}
	return f, nil
}

// isVFIO reports whether the function is given to user space.
func (f pciFunction) isVFIO() bool { return slices.Contains(vfioDrivers, f.driver) }

// groupMembers returns the functions in f's IOMMU group, f among them.
func (f pciFunction) groupMembers(root string) (all []pciFunction) {
	entries, err := os.ReadDir(filepath.Join(root, "sys/kernel/iommu_groups", f.group, "devices"))
	if f.group == "" || err != nil {
		return []pciFunction{f} // not known: it at least
	}
	for _, e := range entries {
		if m, err := readFunction(root, e.Name()); err == nil {
			all = append(all, m)
		}
	}
	return all
}

// linkName returns the last part of what the link below dir points to, "" if there is none.
func linkName(dir, link string) string {
	target, err := os.Readlink(filepath.Join(dir, link))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}
