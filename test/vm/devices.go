package vm

import (
	"slices"
	"strings"
)

// device is one -device of QEMU's.
type device struct {
	id, driver string
	props      string // as on QEMU's command line
}

// devices is the machine's table. On the root bus a device's slot modulo four
// decides its INTx line; 5, 9, 13 and 17 are kept for the shared one. Network
// cards have no boot ROM, which would cost 15 s of emulation.
var devices = []device{
	// Plain functions, each in an IOMMU group of its own.
	{"edu0", "edu", "addr=0x4"},
	{"edu1", "edu", "addr=0x8"},
	{"nic0", "e1000e", "addr=0x6,romfile=,netdev=net0"},
	{"nvme0", "nvme", "addr=0x7,serial=ivt0,drive=disk0"},
	{"testdev0", "pci-testdev", "addr=0xa"},
	{"ivshmem0", "ivshmem-doorbell", "addr=0xe,vectors=4,chardev=ivshmem0"},
	{"ivshmem1", "ivshmem-doorbell", "addr=0xf,vectors=4,chardev=ivshmem1"},
	{"usb0", "nec-usb-xhci", "addr=0x14"},

	// Four functions on one INTx line.
	{"rtl0", "rtl8139", "addr=0x5,romfile=,netdev=net2"},
	{"serial0", "virtio-serial-pci", "addr=0x9,vectors=0"},
	{"hda0", "intel-hda", "addr=0xd,msi=off"},
	{"edu2", "edu", "addr=0x11"},

	// Two functions and their bridge in one IOMMU group.
	{"bridge0", "pcie-pci-bridge", "addr=0xb"},
	{"group0", "edu", "bus=bridge0,addr=0x1"},
	{"group1", "rtl8139", "bus=bridge0,addr=0x2,romfile=,netdev=net3"},

	// Can be unplugged and plugged in again.
	{"port0", "pcie-root-port", "addr=0x10,chassis=1,slot=1"},
	{"port1", "pcie-root-port", "addr=0x12,chassis=2,slot=2"},
	{"port2", "pcie-root-port", "addr=0x13,chassis=3,slot=3"},
	{"hot0", "edu", "bus=port0"},
	{"hot1", "edu", "bus=port1"},
	{"nic1", "e1000e", "bus=port2,romfile=,netdev=net1"},
}

// properties is what QMP's device_add takes for the device of that id, or nil.
func properties(id string) map[string]string {
	i := slices.IndexFunc(devices, func(d device) bool { return d.id == id })
	if i < 0 {
		return nil
	}
	props := map[string]string{"id": id, "driver": devices[i].driver}
	for p := range strings.SplitSeq(devices[i].props, ",") {
		k, v, _ := strings.Cut(p, "=")
		props[k] = v
	}
	return props
}

func deviceArgs() (args []string) {
	for _, d := range devices {
		args = append(args, "-device", d.driver+",id="+d.id+","+d.props)
	}
	return args
}
