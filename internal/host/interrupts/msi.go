package interrupts

import (
	"fmt"
	"strings"
)

// An MSI is where a message-signalled interrupt comes from.
type MSI struct {
	Address string // PCI address "0000:3d:00.0"
	Kind    string // "msi" or "msix"; "" where the row does not tell (up to Linux 6.1)
	Index   int
}

// DecodeMSI finds the PCI function in chip and hwirq of a row, false if it is no PCI message.
//
// Since Linux 6.2 the chip has it: "IR-PCI-MSIX-0000:3d:00.0", and hwirq is the index. Before, hwirq is
// domain<<27 | bus<<19 | devfn<<11 | index (pci_msi_domain_calc_hwirq in drivers/pci/msi/irqdomain.c).
func DecodeMSI(chip string, hwirq int64) (MSI, bool) {
	if hwirq < 0 {
		return MSI{}, false
	}
	if i := strings.LastIndexByte(chip, '-'); i > 0 && IsPCIAddress(chip[i+1:]) {
		return decodeNamed(chip[:i], chip[i+1:], hwirq)
	}
	switch {
	case strings.HasSuffix(chip, "PCI-MSI"), chip == "ITS-MSI", strings.HasSuffix(chip, "PCIe MSI"):
		return MSI{Address: fmt.Sprintf("%04x:%02x:%02x.%d", hwirq>>27, hwirq>>19&0xff, hwirq>>14&0x1f, hwirq>>11&7), Index: int(hwirq & 0x7ff)}, true
	}
	return MSI{}, false
}

func decodeNamed(chip, address string, hwirq int64) (MSI, bool) {
	m := MSI{Address: address, Index: int(hwirq)}
	switch {
	case hwirq >= 1<<16:
		return MSI{}, false
	case strings.HasSuffix(chip, "MSIX"):
		m.Kind = "msix"
	case strings.HasSuffix(chip, "MSI"):
		m.Kind = "msi"
	default:
		return MSI{}, false
	}
	return m, true
}

// IsPCIAddress reports whether s is "domain:bus:device.function" as the kernel writes it: 0000:3d:00.0. The
// domain has four digits or more.
func IsPCIAddress(s string) bool {
	n := len(s)
	if n < 12 || n > 16 || s[n-8] != ':' || s[n-5] != ':' || s[n-2] != '.' || s[n-1] < '0' || s[n-1] > '7' {
		return false
	}
	return isHex(s[:n-8]) && isHex(s[n-7:n-5]) && isHex(s[n-4:n-2])
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return s != ""
}
