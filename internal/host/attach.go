package host

import (
	"errors"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

var errNotThere = errors.New("not there")

// attach gives each irq its device, its canonical name and its kernel drivers.
func (g *reading) attach() {
	decoded := map[string]*Device{}
	drivers := make([]Holder, 0, len(g.IRQs)+8)
	for i := range g.IRQs {
		q := &g.IRQs[i]
		switch {
		case g.byIRQ[q.Number] != nil:
			g.message(q, g.byIRQ[q.Number])
		case g.byLine[q.Number] != nil && g.mayBeLine(q):
			g.wired(q)
		default:
			g.decode(q, decoded)
		}
		start := len(drivers)
		for j := range q.Handlers {
			drivers = append(drivers, kernelHolder(q, &q.Handlers[j]))
		}
		q.Holders = drivers[start:len(drivers):len(drivers)]
	}
}

// message fills q, which sysfs says is a message of d. The index is in the row, in either form.
func (g *reading) message(q *IRQ, d *Device) {
	q.Device, q.Devices = d, []*Device{d}
	q.Source, q.Driver, q.MSI = d.Source, d.Driver, d.Mode
	m, ok := interrupts.DecodeMSI(q.Chip, q.HWIRQ)
	switch {
	case ok && m.Address == d.Address:
		q.Index = m.Index
	case q.HWIRQ < 0 && d.Mode == "msi" && len(d.IRQs) > 0: // s390 prints no hwirq; the irqs of one function follow each other
		q.Index = q.Number - d.IRQs[0]
	default:
		return
	}
	if d.Mode == "msi" || d.Mode == "msix" {
		q.Vector = irq.Vector{Source: d.Source, Type: d.Mode, Index: q.Index}
	}
}

// mayBeLine reports whether the irq can be the INTx line that some function names: those are level, and the SCI
// of ACPI, whose handler is always named so, is no function's even where a stale number says so.
func (g *reading) mayBeLine(q *IRQ) bool {
	return g.byLine[q.Number][0].Address == "" || q.Trigger != "edge" && !(len(q.Handlers) == 1 && q.Handlers[0].Name == "acpi")
}

// wired fills a line's irq. sysfs says which functions are wired to it, not which handler is whose.
func (g *reading) wired(q *IRQ) {
	q.Devices = g.byLine[q.Number]
	var drivers, sources []string
	for _, d := range q.Devices {
		sources = append(sources, d.Source)
		if d.Driver != "" {
			drivers = append(drivers, d.Driver)
		}
	}
	q.Source, q.Driver = strings.Join(sources, ", "), strings.Join(drivers, ", ")
	if len(q.Devices) == 1 {
		q.Device = q.Devices[0]
		if q.Device.Address != "" {
			q.Vector = irq.Vector{Source: q.Device.Source, Type: "intx"}
		}
	}
}

// decode finds the function in the row alone, for a machine of which there is no sysfs.
func (g *reading) decode(q *IRQ, decoded map[string]*Device) {
	m, ok := interrupts.DecodeMSI(q.Chip, q.HWIRQ)
	if !ok {
		return
	}
	d := decoded[m.Address]
	if d == nil {
		d = &Device{Source: "pci:" + m.Address, Address: m.Address, Node: -1, Mode: m.Kind}
		decoded[m.Address] = d
		if g.Parts&PartDevices != 0 {
			g.Devices = append(g.Devices, d)
		}
	}
	d.IRQs = append(d.IRQs, q.Number)
	q.Device, q.Devices, q.Source, q.MSI, q.Index = d, []*Device{d}, d.Source, m.Kind, m.Index
	if m.Kind != "" {
		q.Vector = irq.Vector{Source: d.Source, Type: m.Kind, Index: m.Index}
	}
}

// kernelHolder is the driver behind a handler: the device's where there is one device, else all that the row tells.
func kernelHolder(q *IRQ, h *Handler) Holder {
	k := Holder{Certain: true}
	k.Kind, k.IRQ, k.Driver, k.Shared = irq.HolderKernel, q.Number, h.Name, len(q.Handlers) > 1
	if q.Device == nil || q.MSI == "" && len(q.Handlers) > 1 {
		return k
	}
	if k.Device = q.Device.short(); q.Device.Driver != "" {
		k.Driver, k.Label = q.Device.Driver, h.Name
	}
	return k
}
