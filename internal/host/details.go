package host

import (
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
)

// details reads what the walk of pci.go leaves out, and devices on other buses that have messages.
func (g *reading) details() {
	byAddress := map[string]*Device{}
	for _, d := range g.Devices {
		if g.ctx.Err() != nil {
			return
		}
		dir := pciDir + "/" + d.Address + "/"
		byAddress[d.Address] = d
		d.Path = sysPath(g.link(pciDir + "/" + d.Address))
		if d.Mode != "" {
			d.Line = g.number(dir+"irq", 0)
		}
		d.Node = g.number(dir+"numa_node", -1)
		d.Group = g.linkBase(dir + "iommu_group")
		d.TotalVFs = g.number(dir+"sriov_totalvfs", 0)
		if d.TotalVFs > 0 {
			d.ActiveVFs = g.number(dir+"sriov_numvfs", 0)
		}
	}
	g.interfaces("net", byAddress, func(d *Device, name string) { d.Net = append(d.Net, name) })
	g.interfaces("block", byAddress, func(d *Device, name string) { d.Block = append(d.Block, name) })
	g.interfaces("vfio-dev", byAddress, func(d *Device, name string) { d.VFIO = name })
	g.interfaces("uio", byAddress, func(d *Device, name string) { d.UIO = name })
	g.multipath(byAddress)
	g.otherMessages()
	g.otherLines()
}

// interfaces finds the device of each member of a class by the path that its link names:
// ../../devices/pci0000:00/0000:00:03.0/virtio2/net/eth0.
func (g *reading) interfaces(class string, byAddress map[string]*Device, add func(d *Device, name string)) {
	dir := "sys/class/" + class
	for _, name := range g.names(dir) {
		target := g.link(dir + "/" + name)
		if class == "block" && isPartition(target) {
			continue
		}
		if d := byAddress[pciAddress(target)]; d != nil {
			add(d, name)
		}
	}
}

// pciAddress returns the last PCI address in a sysfs path, "" if there is none.
func pciAddress(path string) string {
	parts := strings.Split(path, "/")
	for _, part := range slices.Backward(parts) {
		if interrupts.IsPCIAddress(part) {
			return part
		}
	}
	return ""
}

// isPartition: …/block/sda/sda1 and …/nvme0n1/nvme0n1p1 stand below their disk, which bears the same name.
func isPartition(target string) bool {
	parts := strings.Split(target, "/")
	n := len(parts)
	return n > 1 && strings.HasPrefix(parts[n-1], parts[n-2]) && parts[n-2] != "" && !strings.HasPrefix(parts[n-1], parts[n-2]+"n") &&
		!strings.HasPrefix(parts[n-1], parts[n-2]+"c")
}

// multipath finds the functions behind an NVMe namespace that several controllers share (drivers/nvme/host/multipath.c):
// …/virtual/nvme-subsystem/nvme-subsys0/nvme0n1 has links nvme0, nvme1 … beside it.
func (g *reading) multipath(byAddress map[string]*Device) {
	const dir = "sys/class/nvme-subsystem"
	for _, subsystem := range g.names(dir) {
		var disks, controllers []string
		for _, name := range g.names(dir + "/" + subsystem) {
			switch {
			case strings.HasPrefix(name, "nvme") && g.link(dir+"/"+subsystem+"/"+name) != "":
				controllers = append(controllers, g.link(dir+"/"+subsystem+"/"+name))
			case strings.HasPrefix(name, "nvme"):
				disks = append(disks, name)
			}
		}
		for _, c := range controllers {
			if d := byAddress[pciAddress(c)]; d != nil {
				d.Block = append(d.Block, disks...)
			}
		}
	}
}

// sysPath makes the absolute path of a link in /sys/bus or /sys/class.
func sysPath(target string) string {
	if i := strings.Index(target, "devices/"); i >= 0 {
		return "/sys/" + target[i:]
	}
	return ""
}
