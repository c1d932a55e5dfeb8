package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/host"
)

// messageDrivers always use MSI or MSI-X where it works, and how their handlers on a line are called. A device of
// theirs that uses a line has fallen back.
var messageDrivers = map[string]string{
	"nvme": "nvme", "virtio-pci": "virtio", "ahci": "ahci", "xhci_hcd": "xhci_hcd", "megaraid_sas": "megasas", "mpt3sas": "mpt3sas", "ena": "ena",
	"igb": "", "igc": "", "ixgbe": "", "i40e": "", "ice": "", "bnxt_en": "", "e1000e": "", "r8169": "", "tg3": "", "mlx5_core": "mlx5", "mlx4_core": "mlx4",
}

// lookShortfall reports what the log says of missing MSI-X vectors, and devices that fell back to a line.
func lookShortfall(x *exam) string {
	looked := []string{}
	if x.Log != nil {
		looked = append(looked, fromLog(x))
	}
	if len(x.m.Devices) > 0 {
		x.fallbacks()
		looked = append(looked, plural(len(x.m.Devices), "device"))
	} else {
		x.unsee("devices that fell back to a line", "there is no /sys/bus/pci", "")
	}
	if len(looked) == 0 {
		return "nothing"
	}
	return strings.Join(looked, ", ")
}

func (x *exam) fallbacks() {
	var f Finding
	for _, d := range x.m.Devices {
		q := x.m.IRQ(d.Line)
		if d.Mode != "" || d.Line == 0 || q == nil || !usesLine(d, q) {
			continue
		}
		f.Evidence = append(f.Evidence, Evidence{From: "/sys/bus/pci/devices/" + d.Address + "/msi_irqs", Value: fmt.Sprintf("%s (%s) has no message-signalled interrupt", deviceName(d), d.Driver)}, row(q))
		f.Vectors = append(f.Vectors, q.Name())
		f.Title = deviceName(d) + " uses a line, though its driver prefers messages"
	}
	if len(f.Evidence) == 0 {
		return
	}
	if n := len(f.Vectors); n > 1 {
		f.Title = fmt.Sprintf("%d devices use lines, though their drivers prefer messages", n)
	}
	f.Severity = Notice
	f.Meaning = "These drivers use MSI or MSI-X wherever it works. On a line they have one interrupt for all queues, share it with others, and every sharer is asked each time."
	f.Remedies = []Remedy{{Do: "Look in the log for why MSI failed.", Command: "dmesg | grep -i msi"}}
	if i := slices.IndexFunc(x.m.Cmdline, isNoMSI); i >= 0 {
		f.Evidence = append(f.Evidence, Evidence{From: "/proc/cmdline", Value: x.m.Cmdline[i]})
		f.Meaning = "MSI is switched off for the whole machine on the kernel's command line. " + f.Meaning
		f.Remedies = []Remedy{{Do: "Boot without " + x.m.Cmdline[i] + ", if what it was a remedy for is gone.", Risk: "The fault that it hid may come back."}}
	}
	x.add(f)
}

// usesLine reports whether the driver of d handles the line q: its handler is there by name.
func usesLine(d *host.Device, q *host.IRQ) bool {
	prefix, known := messageDrivers[d.Driver]
	return known && slices.ContainsFunc(q.Handlers, func(h host.Handler) bool {
		return prefix != "" && strings.HasPrefix(h.Name, prefix) || slices.ContainsFunc(d.Net, func(net string) bool { return h.Name == net || strings.HasPrefix(h.Name, net+"-") })
	})
}

func isNoMSI(parameter string) bool {
	value, ok := strings.CutPrefix(parameter, "pci=")
	return ok && slices.Contains(strings.Split(value, ","), "nomsi")
}
