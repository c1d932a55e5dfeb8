package bind

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/ivtd/ivt/irq"
)

// form compiles an expression when it is first used.
func form(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

var (
	addressForm = form(`^([0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$`)
	idForm      = form(`^0x[0-9a-f]{4}$`)
)

// ParseDevice reads a PCI address as people write it: "0000:3b:00.0", "3b:00.0", the source "pci:0000:3b:00.0" or one of
// its vectors, "pci:0000:3b:00.0/msix/2". Anything else is irq.ErrInvalidParameter.
func ParseDevice(name string) (address string, err error) {
	address, _, _ = strings.Cut(strings.TrimPrefix(strings.ToLower(name), "pci:"), "/")
	m := addressForm().FindStringSubmatch(address)
	if m == nil {
		return "", &irq.Error{Code: irq.ErrInvalidParameter, Operation: "find the device", Name: name, Reason: irq.ReasonMalformed,
			Detail: "this is no PCI address", Remedies: []string{"write it as 0000:3b:00.0; ivt list shows those with interrupts, lspci -D all"}}
	}
	if m[1] == "" {
		address = "0000:" + address
	}
	return address, nil
}

const pciDevices, pciDrivers = "/sys/bus/pci/devices/", "/sys/bus/pci/drivers/"

func deviceDir(address string) string { return pciDevices + address }
func driverDir(driver string) string  { return pciDrivers + driver }

// device reads one function; irq.ErrNoSuchDevice if it is not there.
func (m *machine) device(operation, address string) (Device, error) {
	dir := deviceDir(address)
	if !m.exists(dir) {
		return Device{}, &irq.Error{Code: irq.ErrNoSuchDevice, Operation: operation, Name: address, Reason: irq.ReasonNoSuchSource,
			Detail: "there is no PCI function at " + address, Remedies: []string{"lspci -D lists them"}}
	}
	d := Device{Address: address, Driver: m.link(dir + "/driver"), Group: m.link(dir + "/iommu_group"),
		Class: m.text(dir + "/class"), Vendor: m.text(dir + "/vendor"), Product: m.text(dir + "/device")}
	// An override that is not set reads "(null)" (drivers/pci/pci-sysfs.c).
	if d.Override = m.text(dir + "/driver_override"); d.Override == "(null)" {
		d.Override = ""
	}
	if !idForm().MatchString(d.Vendor) || !idForm().MatchString(d.Product) {
		return d, &irq.Error{Code: irq.ErrInvalidParameter, Operation: operation, Name: address, Detail: "it has no vendor and device id"}
	}
	if !m.exists(dir + "/driver_override") {
		return d, &irq.Error{Code: irq.ErrNotSupported, Operation: operation, Name: address,
			Detail: "the kernel has no driver_override for it (it came with 3.16)"}
	}
	return d, nil
}

// bridge reports whether the function is a bridge, which VFIO never takes (header type 1 or 2).
func (d *Device) bridge() bool {
	return strings.HasPrefix(d.Class, "0x0604") || strings.HasPrefix(d.Class, "0x0607")
}

// companions are the other functions of the IOMMU group, without bridges: these may keep their driver.
func (m *machine) companions(operation string, d Device) ([]Device, error) {
	var others []Device
	if d.Group == "" {
		return nil, nil
	}
	for _, address := range m.names("/sys/kernel/iommu_groups/" + d.Group + "/devices") {
		if address == d.Address || !m.exists(deviceDir(address)) {
			continue
		}
		o, err := m.device(operation, address)
		if err != nil {
			return nil, err
		}
		if !o.bridge() {
			others = append(others, o)
		}
	}
	return others, nil
}

// isVFIO reports whether a driver hands a function to user space through VFIO: vfio-pci and its variants (mlx5-vfio-pci,
// nvgrace-gpu-vfio-pci). A group is usable if all its functions have one, or none.
func isVFIO(driver string) bool { return strings.HasSuffix(driver, "vfio-pci") || driver == "vfio-pci" }

// viable reports whether a driver leaves the group usable for VFIO (drivers/vfio/group.c, drivers/iommu/iommu.c).
func viable(driver string) bool {
	return driver == "" || isVFIO(driver) || driver == "pci-stub" || driver == "pcieport"
}

var driverForm = form(`^[A-Za-z0-9_.+-]{1,64}$`)

// checkDriver says whether the driver can take functions, and if not what to do.
func (m *machine) checkDriver(operation, driver string, d Device) error {
	if !driverForm().MatchString(driver) || driver == "." || driver == ".." {
		return &irq.Error{Code: irq.ErrInvalidParameter, Operation: operation, Name: driver, Detail: "this is no name of a driver"}
	}
	if m.exists(driverDir(driver)) {
		return nil
	}
	e := &irq.Error{Code: irq.ErrNotSupported, Operation: operation, Name: d.Address}
	release := m.text("/proc/sys/kernel/osrelease")
	switch m.findModule(driver, release) {
	case moduleThere:
		e.Detail = fmt.Sprintf("the driver %s is not loaded", driver)
		e.Remedies = []string{"modprobe " + driver}
	case moduleMissing:
		e.Detail = fmt.Sprintf("kernel %s has no driver %s", release, driver)
		if isVFIO(driver) {
			e.Remedies = []string{"a kernel with CONFIG_VFIO_PCI; on Debian linux-image-amd64 has it, for Ubuntu install linux-modules-extra-" + release}
		}
	default:
		e.Detail = fmt.Sprintf("there is no driver %s, and the modules of kernel %s are not there to look", driver, release)
		e.Remedies = []string{"modprobe " + driver}
	}
	return e
}

const (
	moduleUnknown = iota
	moduleThere
	moduleMissing
)

// findModule looks whether the kernel has the driver as a module.
func (m *machine) findModule(driver, release string) int {
	list := m.text("/lib/modules/" + release + "/modules.dep")
	if release == "" || list == "" {
		return moduleUnknown
	}
	// Names of files may have - where names of modules have _.
	file := "/" + strings.ReplaceAll(driver, "_", "-") + ".ko"
	if strings.Contains(strings.ReplaceAll(list, "_", "-"), file) {
		return moduleThere
	}
	return moduleMissing
}

// checkIOMMU refuses VFIO without IOMMU, with what turns it on.
func (m *machine) checkIOMMU(operation, driver string, d Device) error {
	if !isVFIO(driver) || d.Group != "" {
		return nil
	}
	if m.text("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode") == "Y" {
		m.note(d.Address + " has no IOMMU: whoever opens it can write all memory (enable_unsafe_noiommu_mode)")
		return nil
	}
	e := &irq.Error{Code: irq.ErrNotSupported, Operation: operation, Name: d.Address,
		Detail: "it is in no IOMMU group, and " + driver + " takes no function without"}
	cpu, line := m.text("/proc/cpuinfo"), m.text("/proc/cmdline")
	switch {
	case strings.Contains(cpu, "GenuineIntel") && !strings.Contains(line, "intel_iommu=on"):
		e.Remedies = []string{"boot with intel_iommu=on on the kernel command line", "turn VT-d on in the firmware"}
	case strings.Contains(cpu, "GenuineIntel"):
		e.Remedies = []string{"turn VT-d on in the firmware: the kernel was asked for it and found none"}
	case strings.Contains(cpu, "AuthenticAMD"):
		e.Remedies = []string{"turn the IOMMU (AMD-Vi) on in the firmware"}
		if strings.Contains(line, "amd_iommu=off") || strings.Contains(line, "iommu=off") {
			e.Remedies = []string{"boot without iommu=off and amd_iommu=off"}
		}
	default:
		e.Remedies = []string{"turn the IOMMU (SMMU) on in the firmware"}
	}
	if strings.Contains(cpu, "hypervisor") {
		e.Remedies = append(e.Remedies, "this is a virtual machine: its host must give it a virtual IOMMU")
	}
	e.Remedies = append(e.Remedies, "without any protection of memory, and with a kernel that has CONFIG_VFIO_NOIOMMU: echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode")
	return e
}
