package doctor

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
)

// lookFirmware reports faults of the firmware's tables. Where the device concerned works without its line they are no more than good to know.
func lookFirmware(x *exam) string {
	x.addLog(func(f *Finding, g *explain.Group) {
		if why := x.noHarm(x.device(g.Field("device"))); why != "" {
			f.Severity = Info
			f.Meaning = "It does no harm: " + why + ". " + f.Meaning
			f.Remedies = nil
		}
	})
	return x.logText()
}

// noHarm says why a device does well although its line is not described; "" if nobody knows that it does.
func (x *exam) noHarm(d *host.Device) string {
	switch {
	case d == nil || x.other:
		return ""
	case d.Driver == "":
		return deviceName(d) + " has no driver that would use the line"
	case d.Mode != "":
		return deviceName(d) + " uses " + strings.ToUpper(d.Mode) + " and not its line"
	}
	if q := x.m.IRQ(d.Line); q != nil && len(q.Handlers) > 0 {
		return fmt.Sprintf("%s has irq %d all the same", deviceName(d), d.Line)
	}
	return ""
}

// lookMissing reports interrupts that a driver looked for in vain. A device that has its driver all the same does without.
func lookMissing(x *exam) string {
	x.addLog(func(f *Finding, g *explain.Group) {
		if d := x.device(g.Field("device")); d != nil && !x.other && d.Driver != "" {
			f.Severity = Info
			f.Meaning = "It does no harm: the driver serves " + deviceName(d) + " all the same. " + f.Meaning
			f.Remedies = nil
		}
	})
	return x.logText()
}

// device finds a device by its PCI address or the name on its bus; nil if the machine has none of that name.
func (x *exam) device(name string) *host.Device {
	if name == "" {
		return nil
	}
	for _, d := range x.m.Devices {
		if d.Address == name || strings.HasSuffix(d.Source, ":"+name) {
			return d
		}
	}
	return nil
}
