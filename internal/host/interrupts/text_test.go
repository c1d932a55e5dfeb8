package interrupts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseText(t *testing.T) {
	for _, c := range []struct {
		text string
		want Fields
	}{
		{"IO-APIC   2-edge      timer", Fields{"IO-APIC", 2, "edge", "edge", "timer"}},
		{"IR-IO-APIC  16-fasteoi   ehci_hcd:usb1, mmc0", Fields{"IR-IO-APIC", 16, "fasteoi", "level", "ehci_hcd:usb1, mmc0"}},
		{"IR-PCI-MSI 524288-edge      nvme0q0", Fields{"IR-PCI-MSI", 524288, "edge", "edge", "nvme0q0"}},
		{"PCI-MSIX-0000:00:01.0   0-edge      virtio0-config", Fields{"PCI-MSIX-0000:00:01.0", 0, "edge", "edge", "virtio0-config"}},
		{"IO-APIC                    4-edge      ttyS0", Fields{"IO-APIC", 4, "edge", "edge", "ttyS0"}}, // 7.2
		{"PCI-MSI 1574914-edge", Fields{"PCI-MSI", 1574914, "edge", "edge", ""}},
		{"GICv3  27 Level     arch_timer", Fields{"GICv3", 27, "", "level", "arch_timer"}},
		{"RISC-V INTC   5 Edge      riscv-timer", Fields{"RISC-V INTC", 5, "", "edge", "riscv-timer"}},
		{"gpio-brcmstb@7d508500  12 Edge    -edge      fan", Fields{"gpio-brcmstb@7d508500", 12, "edge", "edge", "fan"}},
		{"9030000.pl061   3 Edge      GPIO Key Poweroff", Fields{"9030000.pl061", 3, "", "edge", "GPIO Key Poweroff"}},
		{"BRCM STB PCIe MSI 524288 Edge      xhci_hcd", Fields{"BRCM STB PCIe MSI", 524288, "", "edge", "xhci_hcd"}},
		{"Hyper-V PCIe MSI 6463345754115-edge      mlx5_comp2@pci:bc12:00:02.0", Fields{"Hyper-V PCIe MSI", 6463345754115, "edge", "edge", "mlx5_comp2@pci:bc12:00:02.0"}},
		{"xen-dyn    -event     eth0", Fields{"xen-dyn", -1, "event", "", "eth0"}},
		{"xen-pirq    -ioapic-level  acpi", Fields{"xen-pirq", -1, "ioapic-level", "", "acpi"}},
		{"XT-PIC   0-XT-PIC    timer", Fields{"XT-PIC", 0, "XT-PIC", "", "timer"}},
		{"IR-IO-APIC-fasteoi   ehci_hcd:usb1, mmc0", Fields{"IR-IO-APIC", -1, "fasteoi", "level", "ehci_hcd:usb1, mmc0"}}, // 3.x
		{"DMAR_MSI-edge      dmar0", Fields{"DMAR_MSI", -1, "edge", "edge", "dmar0"}},
		{"PCI-MSI  mlx5_comp0@pci:0001:00:00.0", Fields{"PCI-MSI", -1, "", "edge", "mlx5_comp0@pci:0001:00:00.0"}}, // s390
		{"PCI-MSI  mlx5 comp 5", Fields{"PCI-MSI", -1, "", "edge", "mlx5 comp 5"}},
		{"GIC  20  dma 7", Fields{"GIC", 20, "", "", "dma 7"}},
		{"-   3  x", Fields{"", 3, "", "", "x"}},
		{"None       x", Fields{"", -1, "", "", "x"}},
		{"None", Fields{"", -1, "", "", ""}},
		{"", Fields{HWIRQ: -1}},
		{"7", Fields{"7", -1, "", "", ""}},
		{"dummy  99999999999999999999  x", Fields{"dummy", -1, "", "", "99999999999999999999  x"}},
	} {
		if d := cmp.Diff(c.want, ParseText(c.text)); d != "" {
			t.Errorf("%q: %s", c.text, d)
		}
	}
}

func TestSplitActions(t *testing.T) {
	for _, c := range []struct {
		proc, sysfs string
		want        []string
	}{
		{"", "", nil},
		{"timer", "timer", []string{"timer"}},
		{"PCIe PME, pciehp", "PCIe PME,pciehp", []string{"PCIe PME", "pciehp"}},
		{"sensor, left, right", "sensor, left,right", []string{"sensor, left", "right"}},
		{"sensor, left, right", "sensor, left, right", []string{"sensor, left, right"}},
		{"a,b, c", "a,b,c", []string{"a,b", "c"}},
		{"sensor, left, right", "", []string{"sensor", "left", "right"}}, // sysfs not known
		{"a, b", "a,x", []string{"a", "b"}},                              // changed in between
		{"a,", "a,", []string{"a,"}},
		{"a, ", "a,", []string{"a", ""}},
	} {
		if d := cmp.Diff(c.want, SplitActions(nil, c.proc, c.sysfs)); d != "" {
			t.Errorf("%q, %q: %s", c.proc, c.sysfs, d)
		}
	}
}

func TestDecodeMSI(t *testing.T) {
	for _, c := range []struct {
		chip  string
		hwirq int64
		want  MSI
		ok    bool
	}{
		{"PCI-MSIX-0000:00:01.0", 3, MSI{"0000:00:01.0", "msix", 3}, true},
		{"IR-PCI-MSI-0000:3d:00.0", 0, MSI{"0000:3d:00.0", "msi", 0}, true},
		{"ITS-PCI-MSIX-0001:01:00.1", 7, MSI{"0001:01:00.1", "msix", 7}, true},
		{"VMD-MSIX-10000:01:00.0", 7, MSI{"10000:01:00.0", "msix", 7}, true},
		{"IR-PCI-MSI", 67633152, MSI{"0000:81:00.0", "", 0}, true}, // smartpqi of a capture
		{"PCI-MSI", 512000, MSI{"0000:00:1f.2", "", 0}, true},      // ahci[0000:00:1f.2] of a capture
		{"IR-PCI-MSI", 102242399, MSI{"0000:c3:00.3", "", 95}, true},
		{"ITS-MSI", 16384, MSI{"0000:00:01.0", "", 0}, true},
		{"Hyper-V PCIe MSI", 0xbc12<<27 | 2<<14 | 3, MSI{"bc12:00:02.0", "", 3}, true},
		{"ITS-pMSI", 1, MSI{}, false}, // platform
		{"DMAR-MSI", 1, MSI{}, false},
		{"IO-APIC", 9, MSI{}, false},
		{"PCI-MSI", -1, MSI{}, false},
		{"PCI-MSIX-0000:00:01.0", 1 << 30, MSI{}, false},
		{"PCI-MSIX-0000:00:01.9", 1, MSI{}, false},
	} {
		got, ok := DecodeMSI(c.chip, c.hwirq)
		if got != c.want || ok != c.ok {
			t.Errorf("%s %d: %+v %v", c.chip, c.hwirq, got, ok)
		}
	}
}
