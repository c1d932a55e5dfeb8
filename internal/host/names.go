package host

import (
	"strings"

	"github.com/jaypipes/pcidb"
)

// deviceNames looks the PCI ids up in the pci.ids that the distribution installs. It asks no network.
func (g *reading) deviceNames() {
	db, err := pcidb.New()
	if err != nil {
		g.addBlind(Blind{What: "names of PCI devices", Why: "pci.ids is not installed", Cure: "install the package pci.ids or hwdata"})
		return
	}
	for _, d := range g.Devices {
		d.Name = pciName(db, d.Vendor, d.Product)
	}
}

// pciName returns "Intel Corporation 82574L Gigabit Network Connection", "" if the ids are not in the file.
func pciName(db *pcidb.PCIDB, vendor, product string) string {
	v, p := db.Vendors[vendor], db.Products[vendor+product]
	switch {
	case v == nil:
		return ""
	case p == nil:
		return v.Name
	}
	return strings.TrimSpace(v.Name + " " + p.Name)
}
