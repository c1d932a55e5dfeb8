package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
)

const pciDir = "sys/bus/pci/devices"

// devices walks the PCI functions. It needs no privilege and is exact: msi_irqs has a file for each irq.
func (g *reading) devices() {
	names := g.names(pciDir)
	if names == nil && !g.exists("sys/bus") {
		g.blind("devices and drivers", "sys/bus/pci", errNotThere)
		return
	}
	for _, address := range names {
		if g.ctx.Err() != nil {
			return
		}
		if interrupts.IsPCIAddress(address) {
			g.addDevice(g.pciDevice(address))
		}
	}
}

func (g *reading) addDevice(d *Device) {
	g.Devices = append(g.Devices, d)
	for _, n := range d.IRQs {
		g.byIRQ[n] = d
	}
	if d.Mode == "" && d.Line > 0 && (d.Driver != "" || d.Address == "") { // without a driver the number is the firmware's and may mean nothing
		g.byLine[d.Line] = append(g.byLine[d.Line], d)
	}
}

// pciDevice reads one function. uevent has in one file what else takes four.
func (r *Root) pciDevice(address string) *Device {
	dir := pciDir + "/" + address + "/"
	d := &Device{Source: "pci:" + address, Address: address, Node: -1}
	uevent, err := r.text(dir + "uevent")
	eachPair(uevent, "=", func(key, value string) {
		switch key {
		case "DRIVER":
			d.Driver = value
		case "PCI_CLASS":
			d.Class = strings.ToLower(strings.Repeat("0", max(0, 6-len(value))) + value)
		case "PCI_ID":
			vendor, product, _ := strings.Cut(strings.ToLower(value), ":")
			d.Vendor, d.Product = vendor, product
		}
	})
	if err != nil {
		d.Driver = r.linkBase(dir + "driver")
		d.Class, d.Vendor, d.Product = r.hex(dir+"class"), r.hex(dir+"vendor"), r.hex(dir+"device")
	}
	r.messages(dir, d)
	if d.Mode == "" { // otherwise its line is switched off
		d.Line = r.number(dir+"irq", 0)
	}
	return d
}

func (r *Root) hex(name string) string { return strings.TrimPrefix(r.textOr(name), "0x") }

// messages reads msi_irqs (drivers/pci/msi/irqdomain.c, since 3.14): a file "msi" or "msix" for each irq. A
// function has one of the two modes on, so one file tells for all.
func (r *Root) messages(dir string, d *Device) {
	for _, name := range r.names(dir + "msi_irqs") {
		n, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if d.Mode == "" {
			d.Mode = r.textOr(dir + "msi_irqs/" + name)
		}
		d.IRQs = append(d.IRQs, n)
	}
	slices.Sort(d.IRQs)
}
