package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

// numbered takes "irq:36", "36" and "pid:4711". A bare number is an irq where there is one, else a pid.
func (w *inquiry) numbered(target string) (bool, error) {
	pid, isPID := strings.CutPrefix(target, "pid:")
	if isPID {
		n, err := strconv.Atoi(pid)
		if err != nil || n <= 0 {
			return true, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "look up", Name: target, Reason: irq.ReasonMalformed,
				Detail: "the pid is not a positive decimal number", Remedies: []string{"write pid:4711"}}
		}
		return true, w.pid(n)
	}
	number, isIRQ := strings.CutPrefix(target, "irq:")
	n, err := strconv.Atoi(number)
	if isIRQ && (err != nil || n < 0) {
		_, err := irq.ParseVector(target)
		return true, err
	}
	if err != nil || n < 0 {
		return false, nil
	}
	process := !isIRQ && w.exists("proc/"+number)
	q := w.Machine.IRQ(n)
	switch {
	case q == nil && process:
		return true, w.pid(n)
	case q == nil:
		return true, noSuchIRQ(w.name, n)
	case process && w.Live():
		w.note("%d is also the pid of a process: ivt who pid:%d", n, n)
	}
	w.Kind, w.Subject = KindIRQ, q.Name()
	w.concern(n)
	if len(q.Handlers) == 0 {
		w.note("irq %d is set up, but no driver has requested it", n)
	}
	return true, nil
}

// pci takes "0000:3b:00.0", "3b:00.0", "pci:0000:3b:00.0" and vectors "pci:0000:3b:00.0/msix/2".
func (w *inquiry) pci(target string) (bool, error) {
	name, schemed := strings.CutPrefix(target, "pci:")
	address, vector, isVector := strings.Cut(strings.ToLower(name), "/")
	if len(address) == len("3b:00.0") {
		address = "0000:" + address
	}
	if !interrupts.IsPCIAddress(address) {
		if schemed {
			return true, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "look up", Name: target, Reason: irq.ReasonMalformed,
				Detail: "there is no PCI address after pci:", Remedies: []string{"write pci:0000:3b:00.0 or pci:0000:3b:00.0/msix/2"}}
		}
		return false, nil
	}
	d := w.byAddress(address)
	if d == nil {
		return true, w.unknown(target, "there is no PCI device "+address)
	}
	if isVector {
		return true, w.vector("pci:"+address+"/"+vector, d)
	}
	w.Kind, w.Subject = KindPCI, d.Source
	w.device(d)
	if len(d.IRQs) == 0 && d.Driver == "" {
		w.note("no driver is bound to %s", address)
	}
	return true, nil
}

func (w *inquiry) byAddress(address string) *Device {
	for _, d := range w.Machine.Devices {
		if address != "" && d.Address == address {
			return d
		}
	}
	return nil
}

// vector finds the irq of one vector of d. One that no driver has taken has none.
func (w *inquiry) vector(name string, d *Device) error {
	v, err := irq.ParseVector(name)
	if err != nil {
		return err
	}
	w.Kind, w.Subject = KindVector, v.String()
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if q.Vector == v || q.Device == d && q.MSI == "" && q.Index == v.Index && v.Type != "intx" {
			w.concern(q.Number)
			return nil
		}
		if v.Type == "intx" && v.Index == 0 && slices.Contains(q.Devices, d) && d.Mode == "" {
			w.concern(q.Number)
			return nil
		}
	}
	w.note("no irq is allocated for %s; the device's mode is %s", v, modeOf(d))
	if d.Mode != v.Type && d.Mode != "" {
		w.device(d)
	}
	return nil
}

func modeOf(d *Device) string {
	switch {
	case d.Mode != "":
		return d.Mode + " with " + strconv.Itoa(len(d.IRQs)) + " irqs"
	case d.Driver == "":
		return "off: no driver is bound"
	}
	return "intx or none"
}

// schemed takes "uio:uio0", "uio:uio0/0", "uio0", "gpio:gpiochip0/17" and refuses doorbells, which ivtd knows.
func (w *inquiry) schemed(target string) (bool, error) {
	if device, ok := strings.CutPrefix(target, "gpio:"); ok {
		return w.gpioChip(device)
	}
	if source, _, _ := strings.Cut(target, "/"); strings.HasPrefix(source, "soft:") {
		return true, w.unknown(target, "doorbells are ivtd's own, the kernel does not know them", "ivt list "+source+" asks the daemon")
	}
	name, _ := strings.CutPrefix(target, "uio:")
	name, _, _ = strings.Cut(name, "/")
	if !isNumbered(name, "uio") {
		return false, nil
	}
	return true, w.uio(name)
}

func isNumbered(name, prefix string) bool {
	number, ok := strings.CutPrefix(name, prefix)
	_, err := strconv.ParseUint(number, 10, 31)
	return ok && err == nil
}

func (w *inquiry) uio(name string) error {
	if !w.exists("sys/class/uio/" + name) {
		return w.unknown(name, "there is no UIO device "+name)
	}
	w.Kind, w.Subject = KindUIO, "uio:"+name
	for _, d := range w.Machine.Devices {
		if d.UIO == name {
			w.device(d)
		}
	}
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if slices.ContainsFunc(q.Handlers, func(h Handler) bool { return w.uioOf(q, h.Name) == name }) {
			w.concern(q.Number)
		}
	}
	w.opened("/dev/" + name)
	return nil
}

// opened adds the processes that have one of the paths open.
func (w *inquiry) opened(paths ...string) {
	for _, h := range w.having(w.processesNow(), paths...) {
		w.hold(h)
	}
}

// processesNow looks at the processes if no irq asked for them before.
func (w *inquiry) processesNow() *scan {
	if w.scanned == nil {
		w.scanned = w.scan(w.extra...)
		if n := w.scanned.denied; n > 0 {
			w.addBlind(Blind{What: "processes that have it open", Why: fmt.Sprintf("the descriptors of %d of %d processes may not be read", n, w.scanned.seen), Cure: "run it as root"})
		}
	}
	return w.scanned
}

// named takes the name of a handler, of an architecture row or of a driver.
func (w *inquiry) named(target string) (bool, error) {
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if slices.ContainsFunc(q.Handlers, func(h Handler) bool { return h.Name == target }) {
			w.Kind, w.Subject = KindHandler, target
			w.concern(q.Number)
		}
	}
	if w.Kind != "" {
		return true, nil
	}
	for _, row := range w.Rows {
		if strings.EqualFold(row.Label, target) {
			w.Kind, w.Subject = KindRow, row.Label
			h := Holder{Certain: true}
			h.Kind, h.Driver, h.Label = irq.HolderKernel, "kernel", row.Description
			w.hold(h)
			w.note("%s is counted by the architecture's code, %d times in all; it has no irq and cannot be given to anybody", row.Label, row.Total)
			return true, nil
		}
	}
	for _, d := range w.Machine.Devices {
		if d.Driver == target && target != "" {
			w.Kind, w.Subject = KindDriver, target
			w.device(d)
		}
	}
	return w.Kind != "", nil
}
