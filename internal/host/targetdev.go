package host

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// canonicalPath resolves the links of a /dev path, as in /dev/disk/by-id, on the live machine.
func (w *inquiry) canonicalPath(target string) string {
	if !strings.HasPrefix(target, "/dev/") {
		return target
	}
	target = path.Clean(target)
	if w.Live() {
		if real, err := filepath.EvalSymlinks(target); err == nil {
			return real
		}
	}
	return target
}

// devicePath takes a path in /dev.
func (w *inquiry) devicePath(target string) (bool, error) {
	name, ok := strings.CutPrefix(target, "/dev/")
	if !ok {
		return false, nil
	}
	base := path.Base(name)
	switch {
	case strings.HasPrefix(name, "vfio/"):
		return true, w.vfioPath(target, strings.TrimPrefix(name, "vfio/"))
	case isNumbered(name, "uio"):
		return true, w.uio(name)
	case isNumbered(name, "gpiochip"):
		return w.gpioChip(name)
	case w.exists("sys/class/block/" + base):
		return w.blockDevice(base)
	}
	return true, w.charDevice(target, base)
}

// vfioPath takes /dev/vfio/N, /dev/vfio/noiommu-N and /dev/vfio/devices/vfioN. A group is busy while anybody has it,
// or one of its devices, open.
func (w *inquiry) vfioPath(target, name string) error {
	w.Kind, w.Subject = KindVFIO, target
	if name == "vfio" {
		w.note("/dev/vfio/vfio is the container: any number may have it open")
		w.opened(target)
		return nil
	}
	cdev, isCdev := strings.CutPrefix(name, "devices/")
	group := strings.TrimPrefix(name, "noiommu-")
	for _, d := range w.Machine.Devices {
		switch {
		case isCdev && d.VFIO == cdev, !isCdev && d.Group == group:
			w.device(d)
		default:
			continue
		}
		if !isCdev && d.Driver != "" && !strings.HasPrefix(d.Driver, "vfio") && !slices.Contains(harmlessInGroup, d.Driver) {
			w.note("%s of the group is bound to %s, so the group cannot be used: ivt bind %s", d.Address, d.Driver, d.Source)
		}
	}
	if len(w.Answer.Devices) == 0 && !w.exists("dev/"+strings.TrimPrefix(target, "/dev/")) {
		return w.unknown(target, "no device belongs to it")
	}
	w.opened(target)
	return nil
}

// harmlessInGroup are drivers that do no DMA for the kernel, so a group may be used beside them (vfio_dev_viable
// in drivers/vfio/vfio_main.c until 5.18; iommu_group_claim_dma_owner and driver_managed_dma since).
var harmlessInGroup = []string{"pci-stub", "pcieport", "shpchp"}

// charDevice takes any other path: its openers, and the irqs of the device behind it.
func (w *inquiry) charDevice(target, base string) error {
	w.Kind, w.Subject = KindDev, target
	found := w.exists("dev/" + strings.TrimPrefix(target, "/dev/"))
	for _, class := range w.names("sys/class") {
		link := w.link("sys/class/" + class + "/" + base)
		if link == "" {
			continue
		}
		found = true
		if d := w.byAddress(pciAddress(link)); d != nil {
			w.device(d)
		}
	}
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if slices.ContainsFunc(q.Handlers, func(h Handler) bool { return h.Name == base }) {
			w.concern(q.Number)
			found = true
		}
	}
	paths := append(w.consoles(base), target)
	if base == "rtc" {
		paths = append(paths, "/dev/rtc0")
	}
	w.opened(paths...)
	if !found && len(w.Holders) == 0 {
		return w.unknown(target, "there is no such device")
	}
	return nil
}

// blockDevice takes a disk or partition by name, with those below a device mapper or md device.
func (w *inquiry) blockDevice(target string) (bool, error) {
	name, queue, hasQueue := strings.Cut(target, "/")
	if name == "" || !w.exists("sys/class/block/"+name) {
		return false, nil
	}
	w.Kind, w.Subject = KindBlock, target
	w.blockBelow(name, 0)
	if len(w.Answer.Devices) == 0 {
		w.note("no PCI device is behind %s", name)
	}
	if hasQueue {
		return true, w.queue(target, name, queue)
	}
	return true, nil
}

const maxStack = 8 // device mapper on md on …

func (w *inquiry) blockBelow(name string, depth int) {
	link := w.link("sys/class/block/" + name)
	if isPartition(link) {
		name = path.Base(path.Dir(link))
	}
	for _, d := range w.Machine.Devices {
		if slices.Contains(d.Block, name) {
			w.device(d)
		}
	}
	if depth < maxStack {
		for _, below := range w.names("sys/class/block/" + name + "/slaves") {
			w.blockBelow(below, depth+1)
		}
	}
}
