package host

import (
	"slices"
	"strings"
)

// otherBuses have devices with interrupts, besides PCI.
var otherBuses = []string{"platform", "amba", "fsl-mc"}

// otherMessages finds the devices of irqs whose chip sends messages but that are no PCI function's: platform and
// fsl-mc devices have msi_irqs too. The walk is long on some boards, so it is done only where one is missing.
func (g *reading) otherMessages() {
	if !slices.ContainsFunc(g.IRQs, func(q IRQ) bool { return strings.Contains(q.Chip, "MSI") && g.byIRQ[q.Number] == nil }) {
		return
	}
	for _, bus := range otherBuses {
		dir := "sys/bus/" + bus + "/devices"
		for _, name := range g.names(dir) {
			d := &Device{Source: bus + ":" + name, Node: -1}
			if g.messages(dir+"/"+name+"/", d); len(d.IRQs) == 0 {
				continue
			}
			d.Path = sysPath(g.link(dir + "/" + name))
			d.Driver = g.linkBase(dir + "/" + name + "/driver")
			g.addDevice(d)
		}
	}
}

// otherLines finds the devices of lines that are not PCI's by the handler's name, which is the device's where the driver
// gave none (devm_request_threaded_irq in kernel/irq/devres.c): "fd300000.dma". A virtio-mmio device's is its virtio name.
// It is the only trace; sysfs has no link from such an irq to its device.
func (g *reading) otherLines() {
	buses := map[string][]string{}
	for i := range g.IRQs {
		q := &g.IRQs[i]
		if g.byIRQ[q.Number] != nil || g.byLine[q.Number] != nil || len(q.Handlers) != 1 || strings.Contains(q.Chip, "MSI") {
			continue
		}
		for _, bus := range otherBuses {
			if buses[bus] == nil {
				buses[bus] = append(g.names("sys/bus/"+bus+"/devices"), "")
			}
			if name := g.lineDevice(q.Handlers[0].Name); slices.Contains(buses[bus], name) {
				g.addLine(q, bus, name)
				break
			}
		}
	}
}

// lineDevice returns the device's name of a handler, for a virtio device that of its parent.
func (g *reading) lineDevice(handler string) string {
	if !isNumbered(handler, "virtio") {
		return handler
	}
	parts := strings.Split(g.link("sys/bus/virtio/devices/"+handler), "/")
	return parts[max(0, len(parts)-2)]
}

func (g *reading) addLine(q *IRQ, bus, name string) {
	dir := "sys/bus/" + bus + "/devices/" + name
	g.addDevice(&Device{Source: bus + ":" + name, Node: -1, Line: q.Number, Path: sysPath(g.link(dir)), Driver: g.linkBase(dir + "/driver")})
}
