package host

import (
	"fmt"
	"slices"
	"strings"
)

// vfioDevice finds the device of a VFIO handler: "vfio-msix[2](0000:3b:00.0)", "vfio-intx(…)", "vfio-irq[0](…)"
// (drivers/vfio/pci/vfio_pci_intrs.c, drivers/vfio/platform/vfio_platform_irq.c).
func (g *reading) vfioDevice(q *IRQ, handler string) *Device {
	_, rest, _ := strings.Cut(handler, "(")
	name := strings.TrimSuffix(rest, ")")
	for _, d := range g.Devices {
		if d.short() == name {
			return d
		}
	}
	if q.Device != nil && name == "" {
		return q.Device
	}
	return &Device{Source: "pci:" + name, Address: name, Node: -1}
}

const anonymousDevice = "anon_inode:[vfio-device]"

// vfioHolders returns the processes that have a VFIO device: the group, which opens once at a time; the device's
// own node; or a device descriptor that fdinfo names (Linux 7.x). Where none of these is found, whoever has an
// unnamed device descriptor comes in question and is not certain.
func (g *reading) vfioHolders(s *scan, d *Device) []Holder {
	var sure, unsure []Holder
	for i := range s.processes {
		p := &s.processes[i]
		via, certain := vfioVia(p, d)
		if via == "" {
			continue
		}
		h := g.identify(p)
		h.Via, h.Certain = via, certain
		if certain {
			sure = append(sure, h)
		} else {
			unsure = append(unsure, h)
		}
	}
	if len(sure) > 0 {
		return sure
	}
	return unsure
}

// vfioVia says how p has d, "" if it has not.
func vfioVia(p *process, d *Device) (via string, certain bool) {
	for _, f := range p.files {
		switch {
		case d.Group != "" && (f.target == "/dev/vfio/"+d.Group || f.target == "/dev/vfio/noiommu-"+d.Group),
			d.VFIO != "" && f.target == "/dev/vfio/devices/"+d.VFIO:
			return fmt.Sprintf("%s (fd %d)", f.target, f.number), true
		case f.target == anonymousDevice && strings.Contains(f.info, "vfio-device-syspath:"):
			if strings.HasSuffix(syspath(f.info), "/"+d.short()) {
				return fmt.Sprintf("its device descriptor (fd %d)", f.number), true
			}
		case f.target == anonymousDevice && via == "" && !p.hasOwnVFIO():
			via = fmt.Sprintf("a VFIO device descriptor (fd %d), of which this kernel does not say the device", f.number)
		}
	}
	return via, false
}

// hasOwnVFIO reports whether p opened a group or a device node itself: its unnamed device descriptors are then of those.
func (p *process) hasOwnVFIO() bool {
	return slices.ContainsFunc(p.files, func(d descriptor) bool { return strings.HasPrefix(d.target, "/dev/vfio/") })
}

func syspath(info string) (path string) {
	eachPair(info, ":", func(key, value string) {
		if key == "vfio-device-syspath" {
			path = value
		}
	})
	return path
}

// uioOf returns the UIO device whose handler this is: its name is the handler's (drivers/uio/uio.c), and it is the
// irq's device if that is known.
func (g *reading) uioOf(q *IRQ, handler string) string {
	if q.Device != nil {
		if uio := q.Device.UIO; uio != "" && g.textOr("sys/class/uio/"+uio+"/name") == handler {
			return uio
		}
		return ""
	}
	if g.uios == nil {
		g.uios = map[string]string{}
		for _, uio := range g.names("sys/class/uio") {
			name := g.textOr("sys/class/uio/" + uio + "/name")
			if _, twice := g.uios[name]; twice {
				uio = "" // two of one name: nobody can say
			}
			g.uios[name] = uio
		}
	}
	return g.uios[handler]
}
