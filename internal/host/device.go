package host

import "strings"

// A Device is what raises interrupts: a PCI function, or another device of /sys with interrupts of its own.
type Device struct {
	Source    string   `json:"source"`              // "pci:0000:3b:00.0", "uio:uio0", "platform:fd400000.gpio"
	Address   string   `json:"address,omitempty"`   // PCI address "0000:3b:00.0"
	Path      string   `json:"path,omitempty"`      // in sysfs, "/sys/devices/pci0000:3a/…"
	Driver    string   `json:"driver,omitempty"`    // "" if none is bound
	Class     string   `json:"class,omitempty"`     // PCI class, six hexadecimal digits "020000"
	Vendor    string   `json:"vendor,omitempty"`    // "8086"
	Product   string   `json:"product,omitempty"`   // "10d3"
	Name      string   `json:"name,omitempty"`      // from pci.ids where it is installed, PartNames
	Node      int      `json:"node"`                // NUMA node, -1 if none
	Line      int      `json:"line,omitempty"`      // irq number of the INTx line, 0 if none; while MSI is on only PartDetail says it
	Mode      string   `json:"mode,omitempty"`      // "msi", "msix", "" if neither is on
	IRQs      []int    `json:"irqs,omitempty"`      // the MSI or MSI-X irqs, ascending
	Group     string   `json:"group,omitempty"`     // IOMMU group
	VFIO      string   `json:"vfio,omitempty"`      // "vfio3": the character device /dev/vfio/devices/vfio3
	UIO       string   `json:"uio,omitempty"`       // "uio0"
	Net       []string `json:"net,omitempty"`       // network interfaces
	Block     []string `json:"block,omitempty"`     // block devices
	TotalVFs  int      `json:"totalVFs,omitempty"`  // sriov_totalvfs
	ActiveVFs int      `json:"activeVFs,omitempty"` // sriov_numvfs
}

// short returns the PCI address, for others the name on their bus.
func (d *Device) short() string {
	if d.Address != "" {
		return d.Address
	}
	_, name, _ := strings.Cut(d.Source, ":")
	return name
}
