package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// analyses work out what follows from the values of an incident, by the id of its message.
var analyses = map[string]func(*Incident){
	"flags-mismatch":     analyseMismatch,
	"nobody-cared":       analyseUnhandled,
	"bogus-return":       analyseUnhandled,
	"handlers":           analyseUnhandled,
	"no-irq-handler":     analyseNoHandler,
	"xen-no-irq-handler": analyseXen,
	"intr-remap-new":     analyseRemap,
	"devm-request-fail":  analyseRequest,
	"hardirq-storm":      analyseStorm,
	"sriov-msix":         analyseSRIOV,
	"cannot-disable-cpu": analyseCPU,
}

func (in *Incident) say(format string, args ...any) {
	in.Verdict = append(in.Verdict, fmt.Sprintf(format, args...))
}

func analyseMismatch(in *Incident) {
	m := ExplainMismatch(parseFlags(in.Field("new_flags")), in.Field("asked_by"), parseFlags(in.Field("old_flags")), in.Field("held_by"))
	in.Mismatch = &m
	in.Verdict = append(in.Verdict, m.Verdict)
	for _, p := range in.Parts {
		switch p.ID {
		case "devm-request-fail":
			in.say("It was asked for by the driver %s for device %s.", orElse(fieldOf(p.Fields, "driver"), "(not named)"), orElse(fieldOf(p.Fields, "device"), "(not named)"))
		case "free-free":
			in.say("Afterwards the driver freed what it never got: its error path has a bug, harmless here.")
		}
	}
	if in.Task != "" {
		in.say("It was asked for while %s ran.", in.Task)
	}
}

func analyseUnhandled(in *Incident) {
	off := false
	for _, p := range in.Parts {
		off = off || p.ID == "disabling-irq"
	}
	if off {
		in.say("The kernel switched the line off.")
	}
	modules := map[string]bool{}
	for _, h := range in.Handlers {
		modules[orElse(h.Module, h.Function)] = true
	}
	switch {
	case len(in.Handlers) == 0:
	case len(in.Handlers) == 1:
		in.say("%s is the only handler on the line. Either its device raises interrupts that it does not recognise, or another device on the same wire does, one whose driver is not loaded.", in.Handlers[0])
	case len(modules) == 1:
		in.say("All %d handlers are those of one driver: its device, or one on the same wire without a driver, is the likely culprit.", len(in.Handlers))
	default:
		in.say("%d handlers share the line, and none wanted it. Sharing hides who raised it: it is one of these devices, or one on the same wire whose driver is not loaded.", len(in.Handlers))
	}
}

// bootTime is how long after boot CPUs may still be starting, in seconds, also on large machines.
const bootTime = 60

func analyseNoHandler(in *Incident) {
	v, err := strconv.Atoi(in.Field("vector"))
	if err != nil {
		return
	}
	legacy := v >= 0x30 && v <= 0x3f
	booting := in.Uptime >= 0 && in.Uptime < bootTime
	switch {
	case v == 0x37 && (booting || in.Uptime < 0):
		in.Severity = Info
		in.say("Vector 55 is the place of legacy IRQ 7, where the old interrupt controller reports interrupts that vanished. While CPUs start this is harmless: nothing to do.")
	case legacy && booting:
		in.Severity = Info
		in.say("A legacy interrupt while CPUs start. Harmless: nothing to do.")
	case booting:
		in.Severity = Info
		in.say("During boot, once: usually a device that firmware left armed. Harmless unless it goes on.")
	case legacy:
		in.say("The place of legacy IRQ %d: spurious interrupts of the old controller arrive there.", v-0x30)
	default:
		in.say("A device vector: something was moved or freed while an interrupt was on its way, or a device raises a message that nobody set up.")
	}
}

func analyseXen(in *Incident) {
	n, err := strconv.ParseInt(in.Field("irq"), 10, 64)
	switch {
	case err != nil:
	case n == -1<<31:
		in.say("IRQ -2147483648 means that the vector never belonged to an interrupt on that CPU.")
	case n < 0:
		in.say("IRQ %d means that the vector belonged to irq %d until it was moved or freed.", n, -n)
	}
	if kind := in.Field("kind"); kind == "LAPIC" {
		in.say("It came from the CPU's own local APIC.")
	} else if kind != "" {
		in.say("It came through the %s.", kind)
	}
}

func analyseRemap(in *Incident) {
	if strings.EqualFold(in.Field("reason"), "26") {
		in.say("The message did not carry the bus address that its entry is for. Behind a bridge that is often innocent; from a device that was given away it is an attempt on the host's interrupts, and it was stopped.")
	}
}

func analyseRequest(in *Incident) {
	if in.Field("errno") == "-EBUSY" {
		in.say("EBUSY: the line is held by somebody who cannot share it with this driver.")
	}
}

func analyseStorm(in *Incident) {
	var top []string
	for _, p := range in.Parts {
		top = append(top, fmt.Sprintf("irq %s (%s times)", fieldOf(p.Fields, "irq"), fieldOf(p.Fields, "count")))
	}
	if top != nil {
		in.say("Most frequent: %s.", strings.Join(top, ", "))
	}
}

func analyseSRIOV(in *Incident) {
	vfs, err1 := strconv.Atoi(in.Field("vfs"))
	each, err2 := strconv.Atoi(in.Field("minimum"))
	got, err3 := strconv.Atoi(in.Field("available"))
	if err1 == nil && err2 == nil && err3 == nil && vfs > 0 && vfs < 1<<16 && each < 1<<16 {
		in.say("%d functions need at least %d vectors; %d are left, so %d must be freed by giving the physical function fewer queues.", vfs, vfs*each, got, max(0, vfs*each-got))
	}
}

func analyseCPU(in *Incident) {
	have, err1 := strconv.Atoi(in.Field("vectors"))
	free, err2 := strconv.Atoi(in.Field("available"))
	if err1 == nil && err2 == nil && have > free {
		in.say("%d vectors too few on the CPUs that would remain. Nothing was changed: the CPU is online and works.", have-free)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
