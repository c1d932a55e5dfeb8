package host

import (
	"bufio"
	"compress/gzip"
	"io"
	"strings"
)

// pciIDs are the places where distributions put the PCI ID list (pci.ids(5) of the PCI ID project).
var pciIDs = []string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids", "usr/share/pci.ids", "usr/share/misc/pci.ids.gz"}

// deviceNames looks up the names of the devices that are there. It reads the list once and keeps nothing else of it.
func (g *reading) deviceNames() {
	for _, name := range pciIDs {
		f, err := g.open(name)
		if err != nil {
			continue
		}
		defer f.Close()
		var in io.Reader = f
		if strings.HasSuffix(name, ".gz") {
			if in, err = gzip.NewReader(f); err != nil {
				continue
			}
		}
		nameDevices(in, g.Devices)
		return
	}
	b := Blind{What: "names of PCI devices", Why: "there is no pci.ids"}
	if g.Live() {
		b.Why, b.Cure = "pci.ids is not installed", "install the package pci.ids or hwdata"
	}
	g.addBlind(b)
}

// nameDevices reads "8086  Intel Corporation" and, below it after a tab, "10d3  82574L Gigabit Network Connection".
// Subsystems follow after two tabs, classes after the last vendor with "C ".
func nameDevices(in io.Reader, devices []*Device) {
	products := map[string][]*Device{}
	for _, d := range devices {
		products[d.Vendor] = append(products[d.Vendor], d)
	}
	var wanted []*Device
	vendor := ""
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "C "):
			return
		case len(line) < 7 || line[0] == '#':
		case line[0] != '\t':
			wanted, vendor = products[line[:4]], strings.TrimSpace(line[4:])
			for _, d := range wanted {
				d.Name = vendor
			}
		case line[1] != '\t' && wanted != nil:
			for _, d := range wanted {
				if d.Product == line[1:5] {
					d.Name = vendor + " " + strings.TrimSpace(line[5:])
				}
			}
		}
	}
}
