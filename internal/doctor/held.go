package doctor

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// lookHeld reports devices that processes outside ivt hold: good to know where it is one process, a fault where they are several.
func lookHeld(x *exam) string {
	if x.Log != nil {
		fromLog(x)
	}
	byDevice := map[string]*holding{}
	var order []string
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		kind := deliveredBy(q)
		if kind == "" {
			continue
		}
		key := heldDevice(q)
		h := byDevice[key]
		if h == nil {
			h = &holding{subject: key, kind: kind}
			byDevice[key], order = h, append(order, key)
		}
		h.vectors = append(h.vectors, q.Name())
		x.addHolders(h, q)
	}
	for _, key := range order {
		x.addHolding(byDevice[key])
	}
	return plural(len(order), "device") + " with interrupts in user space"
}

// A holding is a device whose interrupts go to user space.
type holding struct {
	subject, kind string
	vectors       []string
	processes     []host.Holder
}

// deliveredBy says through what an interrupt goes to user space: "VFIO", "UIO", "" if it does not.
func deliveredBy(q *host.IRQ) string {
	for _, h := range q.Handlers {
		if strings.HasPrefix(h.Name, "vfio-") {
			return "VFIO"
		}
	}
	if strings.HasPrefix(q.Vector.Source, "uio:") || q.Device != nil && q.Device.UIO != "" {
		return "UIO"
	}
	return ""
}

// heldDevice names the device: on a line that others are wired to, VFIO's handler says which of them it is.
func heldDevice(q *host.IRQ) string {
	for _, h := range q.Handlers {
		if _, inside, ok := strings.Cut(h.Name, "("); ok && strings.HasPrefix(h.Name, "vfio-") {
			return "pci:" + strings.TrimSuffix(inside, ")")
		}
	}
	return firstOf(q.Source, q.Name())
}

func (x *exam) addHolders(h *holding, q *host.IRQ) {
	for _, p := range q.Holders {
		if p.Kind != irq.HolderProcess || !p.Certain || x.ours(p) {
			continue
		}
		known := false
		for _, o := range h.processes {
			known = known || o.SameProcess(p.Holder)
		}
		if !known {
			h.processes = append(h.processes, p)
		}
	}
}

func (x *exam) ours(p host.Holder) bool {
	if x.Ours != nil {
		return x.Ours(p)
	}
	return p.Command == "ivtd"
}

func (x *exam) addHolding(h *holding) {
	if len(h.processes) == 0 {
		return
	}
	f := Finding{Severity: Info, Vectors: h.vectors, Title: fmt.Sprintf("%s is held by %s", h.subject, processText(h.processes[0])),
		Meaning:  "A process outside ivt has the device through " + h.kind + ". Nothing is wrong with that; whoever else wants the device is refused with EBUSY, by the kernel without a name and by ivt with 763 and this one.",
		Remedies: []Remedy{{Do: "To free the device, stop the process.", Command: stopCommand(h.processes[0]), Risk: "Its driver or virtual machine stops."}}}
	for _, p := range h.processes {
		f.Evidence = append(f.Evidence, Evidence{From: fmt.Sprintf("/proc/%d/fd", p.PID), Value: strings.TrimSpace(p.Holder.String() + " " + p.Via)})
	}
	if n := len(h.processes); n > 1 {
		f.Title = fmt.Sprintf("%s is held by %d processes", h.subject, n)
		f.Severity, f.Meaning = Notice, "Several processes have a descriptor of the device. Each can rewire its interrupts, and the kernel arbitrates nothing between them: the second one that sets an eventfd silently takes the first one's interrupts. A copy that a child inherited also keeps the device busy after its owner is gone."
		f.Remedies = []Remedy{{Do: "Find out which of them should have it, and stop the others.", Command: "ivt who " + h.vectors[0], Risk: "A process that drives the device stops doing so."}}
		if h.kind == "UIO" {
			f.Severity, f.Meaning = Warning, "Any number of processes may open a UIO device, and each sees every interrupt. But whoever closes it first switches the device's bus mastering off for all: it then stops working for those that remain."
		}
	}
	x.add(f)
}

func processText(p host.Holder) string {
	if p.Unit != "" {
		return fmt.Sprintf("pid %d (%s, %s)", p.PID, p.Command, p.Unit)
	}
	return fmt.Sprintf("pid %d (%s)", p.PID, p.Command)
}

func stopCommand(p host.Holder) string {
	if p.Unit != "" {
		return "systemctl stop " + explain.ShellWord(p.Unit)
	}
	return fmt.Sprintf("kill %d", p.PID)
}
