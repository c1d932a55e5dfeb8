package host

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

// An Answer says who holds a target.
type Answer struct {
	Target   string     `json:"target"`
	Kind     string     `json:"kind"`               // what the target was taken for, one of the Kind constants
	Subject  string     `json:"subject,omitempty"`  // its canonical name
	IRQs     []IRQ      `json:"irqs,omitempty"`     // the irqs concerned
	Devices  []*Device  `json:"devices,omitempty"`  // the devices concerned
	Lines    []GPIOLine `json:"lines,omitempty"`    // the GPIO lines concerned
	Holders  []Holder   `json:"holders"`            // of the target; empty: nobody
	Notes    []string   `json:"notes,omitempty"`    // "36 is also a pid: ivt who pid:36"
	Remedies []string   `json:"remedies,omitempty"` // what the caller may do, commands where there is one
	Blind    []Blind    `json:"blind,omitempty"`
}

// What a target was taken for.
const (
	KindVector  = "vector"  // pci:0000:3b:00.0/msix/2
	KindIRQ     = "irq"     // irq:36, 36
	KindPCI     = "pci"     // 0000:3b:00.0
	KindDev     = "dev"     // /dev/ttyS0
	KindVFIO    = "vfio"    // /dev/vfio/12, /dev/vfio/devices/vfio3
	KindUIO     = "uio"     // uio0, /dev/uio0
	KindNet     = "net"     // eth0, eth0/rx-3
	KindBlock   = "block"   // nvme0n1, /dev/sda1
	KindGPIO    = "gpio"    // gpiochip0/17, the name of a line
	KindPID     = "pid"     // pid:4711
	KindUnit    = "unit"    // nic-worker@1.service
	KindHandler = "handler" // i8042
	KindDriver  = "driver"  // nvme
	KindRow     = "row"     // LOC
)

// Held reports whether anybody holds the target, known by name or not.
func (a *Answer) Held() bool { return len(a.Holders) > 0 }

// Who answers who holds the target: a vector (pci:0000:3b:00.0/msix/2, irq:36), an irq number, a PCI
// address, a /dev path, a network interface or its queue (eth0, eth0/rx-3), a block device, a GPIO line
// (its name, or gpiochip0/17), pid:4711 or a pid, a unit, the name of a handler, a driver or an architecture row.
// A target that names nothing here is irq.ErrNoSuchDevice, a malformed one irq.ErrInvalidParameter.
func (r *Root) Who(ctx context.Context, target string) (*Answer, error) {
	if target == "" {
		return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "look up", Name: target, Reason: irq.ReasonMalformed, Detail: "there is no target"}
	}
	w := &inquiry{reading: r.reading(ctx, Options{Parts: PartDevices | PartDetail | PartHolders | PartThreads | PartDescriptors})}
	w.Answer = &Answer{Target: target, Holders: []Holder{}}
	path := w.canonicalPath(target)
	if strings.HasPrefix(path, "/dev/") {
		w.extra = []string{path}
	}
	if err := w.run(); err != nil {
		return nil, err
	}
	if err := w.resolve(path); err != nil {
		return nil, err
	}
	w.finish()
	return w.Answer, ctx.Err()
}

// An inquiry is one call of Root.Who.
type inquiry struct {
	*reading
	*Answer
	concerned []int // numbers of the irqs
}

// resolve tries what a target may be, the unmistakable forms first.
func (w *inquiry) resolve(target string) error {
	for _, try := range []func(string) (bool, error){
		w.numbered, w.devicePath, w.pci, w.schemed, w.gpioChip, w.unit, w.netInterface, w.blockDevice, w.named, w.gpioName,
	} {
		if ok, err := try(target); ok || err != nil {
			return err
		}
	}
	return w.unknown(target, "nothing here has this name")
}

func (w *inquiry) unknown(target, detail string, remedies ...string) error {
	remedies = append(remedies, "ivt list shows the irqs, ivt who takes a vector, an irq number, a PCI address, a /dev path, an interface, a block device, a GPIO line, pid:N or a unit")
	return &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "look up", Name: target, Reason: irq.ReasonNoSuchSource, Detail: detail, Remedies: remedies}
}

// finish copies the irqs concerned with what one screen shows of them, and collects their holders.
func (w *inquiry) finish() {
	w.only = append([]int{}, w.sortedConcerned()...) // not nil, which is all
	w.affinities()
	w.reading.spurious()
	w.eachIRQ(func(q *IRQ) {
		w.Answer.IRQs = append(w.Answer.IRQs, *q)
		for _, h := range q.Holders {
			w.hold(h)
		}
	})
	for _, d := range w.Answer.Devices {
		w.deviceHolders(d)
	}
	w.explainDenied()
	w.Answer.Blind = w.Machine.Blind
	w.remedies()
}

// hold adds a holder that is not there yet.
func (w *inquiry) hold(h Holder) {
	for i, o := range w.Holders {
		if o.SameProcess(h.Holder) {
			w.Holders[i].Certain = o.Certain || h.Certain
			return
		}
		if o.Kind == h.Kind && o.Kind != irq.HolderProcess && o.Driver == h.Driver && o.Device == h.Device && (o.Label == h.Label || h.Device != "") {
			return
		}
	}
	w.Holders = append(w.Holders, h)
}

// deviceHolders adds who holds a device apart from its irqs: a process by VFIO or UIO, else the bound driver.
func (w *inquiry) deviceHolders(d *Device) {
	var found []Holder
	switch passive := strings.Contains(d.Driver, "vfio") || strings.Contains(d.Driver, "uio"); {
	case d.Driver == "":
		return
	case !passive:
		h := Holder{Certain: true}
		h.Kind, h.Driver = irq.HolderKernel, d.Driver
		found = []Holder{h}
	case d.UIO != "":
		found = w.having(w.processesNow(), "/dev/"+d.UIO)
	default:
		found = w.vfioHolders(w.processesNow(), d)
	}
	for _, h := range found {
		h.Device = d.short()
		w.hold(h)
	}
}

func (w *inquiry) sortedConcerned() []int {
	return slices.Compact(slices.Sorted(slices.Values(w.concerned)))
}

// concern adds irqs to the answer.
func (w *inquiry) concern(numbers ...int) { w.concerned = append(w.concerned, numbers...) }

// device adds a device with its irqs.
func (w *inquiry) device(d *Device) {
	if slices.Contains(w.Answer.Devices, d) {
		return
	}
	w.Answer.Devices = append(w.Answer.Devices, d)
	w.concern(d.IRQs...)
	if d.Mode == "" && d.Line > 0 && d.Driver != "" {
		w.concern(d.Line)
	}
}

func (w *inquiry) note(format string, args ...any) {
	w.Notes = append(w.Notes, fmt.Sprintf(format, args...))
}

// remedies say how a process holder is made to let go.
func (w *inquiry) remedies() {
	for _, h := range w.Holders {
		switch {
		case h.Kind == irq.HolderProcess && h.Unit != "" && strings.HasSuffix(h.Unit, ".service") && !strings.HasPrefix(h.Unit, "user@"):
			w.remedy("systemctl stop " + h.Unit)
		case h.Kind == irq.HolderProcess:
			w.remedy(fmt.Sprintf("end pid %d (%s)", h.PID, h.Command))
		case h.Cure != "":
			w.remedy(h.Cure)
		case h.Kind == irq.HolderKernel && interrupts.IsPCIAddress(h.Device) && w.Kind != KindRow:
			w.remedy("ivt bind pci:" + h.Device + "   takes it from " + h.Driver + " for user space, and shows what uses it first")
		}
	}
}

func (w *inquiry) remedy(s string) {
	if !slices.Contains(w.Remedies, s) && len(w.Remedies) < 4 {
		w.Remedies = append(w.Remedies, s)
	}
}
