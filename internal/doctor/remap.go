package doctor

import (
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/host"
)

// lookRemapping reports faults of interrupt remapping, and its absence where devices are given away.
func lookRemapping(x *exam) string {
	looked := []string{}
	if x.Log != nil {
		looked = append(looked, fromLog(x))
	}
	if x.isX86() && len(x.m.Devices) > 0 {
		x.remappingOff()
		looked = append(looked, plural(len(x.givenAway()), "device")+" given away")
	}
	if len(looked) == 0 {
		return "nothing"
	}
	return strings.Join(looked, ", ")
}

// givenAway are the devices bound to a VFIO driver.
func (x *exam) givenAway() (devices []*host.Device) {
	for _, d := range x.m.Devices {
		if strings.HasPrefix(d.Driver, "vfio") {
			devices = append(devices, d)
		}
	}
	return devices
}

// remappingOff: with remapping on, the chips of x86 are called IR-PCI-MSI and IR-IO-APIC. Where no device is given away its
// absence harms nobody: every virtual machine is so.
func (x *exam) remappingOff() {
	devices := x.givenAway()
	if len(devices) == 0 || slices.ContainsFunc(x.m.IRQs, func(q host.IRQ) bool { return strings.HasPrefix(q.Chip, "IR-") }) {
		return
	}
	f := Finding{
		Severity: Warning, Title: "Devices are given away while interrupt remapping is off",
		Evidence: []Evidence{{From: "/proc/interrupts", Value: "no interrupt controller is called IR-…"}},
		Meaning:  "Whoever drives one of these devices can let it write any interrupt message: forge interrupts of other devices, or of the system. VFIO refuses that unless allow_unsafe_interrupts or no-IOMMU mode was chosen.",
		Remedies: []Remedy{{Do: "Switch interrupt remapping on in the firmware's setup (VT-d with x2APIC, AMD-Vi) and remove intremap=off.", Risk: "Takes a reboot."},
			{Do: "Until then give these devices to trusted programs only."}},
	}
	for _, d := range devices {
		f.Evidence = append(f.Evidence, Evidence{From: "/sys/bus/pci/devices/" + d.Address + "/driver", Value: d.Driver})
	}
	for _, p := range x.m.Cmdline {
		if strings.HasPrefix(p, "intremap=") || strings.HasPrefix(p, "iommu=") || strings.HasPrefix(p, "vfio") {
			f.Evidence = append(f.Evidence, Evidence{From: "/proc/cmdline", Value: p})
		}
	}
	x.add(f)
}
