package doctor

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/internal/host"
)

// needs are parts of the input without which a check cannot look.
type needs uint8

const (
	needLog needs = 1 << iota
	needRates
	needAffinity
	needSpurious
	needDevices
	needHolders
	needSystem
)

// A check looks for one kind of finding.
type check struct {
	id    string // of the findings, and of their page
	looks string // what it looks for, for the list of what could not be seen
	needs needs
	// examine adds findings and says what it looked at, "43 affinities".
	examine func(*exam) string
}

// checks are all kinds of findings, in the order in which findings of equal severity are shown. docs/findings has a page for each.
var checks = []check{
	{"nobody-cared", "lines that the kernel switched off", needLog, lookUnhandledLines},
	{"flags-mismatch", "drivers that were refused an interrupt", needLog, lookMismatches},
	{"request-failed", "drivers that did not get their interrupt", needLog, fromLog},
	{"lost-interrupt", "interrupts that never came", needLog, fromLog},
	{"vector-exhaustion", "CPUs without free vectors", 0, lookVectors},
	{"msix-shortfall", "devices with fewer interrupts than they want", 0, lookShortfall},
	{"interrupt-storm", "interrupts that fire too often", needRates, lookStorms},
	{"unhandled", "interrupts that no handler wants", needSpurious, lookUnhandled},
	{"shared-line", "busy lines that several devices share", 0, lookShared},
	{"gpe-storm", "firmware events that do not stop", needSystem, lookGPEs},
	{"offline-cpus", "interrupts on CPUs that are offline", needAffinity | needSystem, lookOffline},
	{"isolated-cpus", "interrupts on isolated CPUs", needAffinity | needSystem, lookIsolated},
	{"affinity-ignored", "affinities that have no effect", needAffinity, lookAffinity},
	{"numa-distance", "interrupts far from their device", needAffinity | needDevices | needSystem, lookDistance},
	{"one-cpu", "devices with all queues on one CPU", needAffinity | needDevices, lookCrowded},
	{"cpu-offline", "CPUs that could not be taken offline in order", needLog, fromLog},
	{"interrupt-remapping", "interrupt remapping", 0, lookRemapping},
	{"device-held", "devices that processes hold", needHolders, lookHeld},
	{"no-handler-for-vector", "interrupts at vectors that nobody owns", needLog, lookNoHandler},
	{"gpio-pin-busy", "pins and GPIO lines that were refused", needLog, fromLog},
	{"trigger-config", "triggers that do not fit", needLog, fromLog},
	{"irq-missing", "interrupts that the firmware does not describe", needLog, lookMissing},
	{"firmware-interrupts", "faults of the firmware's interrupt tables", needLog, lookFirmware},
	{"driver-bug", "misuse of interrupts by drivers", needLog, fromLog},
}

// has are the parts that the input has.
func (x *exam) has() (n needs) {
	if x.Log != nil {
		n |= needLog
	}
	if len(x.rates) > 0 {
		n |= needRates
	}
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		if q.Affinity != nil {
			n |= needAffinity
		}
		if q.Spurious != nil {
			n |= needSpurious
		}
	}
	if len(x.m.Devices) > 0 {
		n |= needDevices
	}
	if x.m.Parts&host.PartHolders != 0 {
		n |= needHolders
	}
	if x.m.Parts&host.PartSystem != 0 && (len(x.m.CPUs.Online) > 0 || len(x.m.GPEs) > 0) {
		n |= needSystem
	}
	return n
}

// unmet says that a check could not look, and why.
func (x *exam) unmet(c *check, missing needs) {
	why := []struct {
		need      needs
		why, cure string
	}{
		{needLog, firstOf(x.LogWhy, "no kernel log was given"), x.logCure()},
		{needRates, "it takes two pictures of the machine", "run it on the live machine"},
		{needAffinity, "there are no files of /proc/irq", ""},
		{needSpurious, "there is no /proc/irq/N/spurious", ""},
		{needDevices, "there is no /sys/bus/pci", ""},
		{needHolders, "processes were not looked at", ""},
		{needSystem, "there is no /sys/devices/system/cpu", ""},
	}
	for _, w := range why {
		if missing&w.need != 0 {
			x.unsee(c.looks, w.why, w.cure)
			return
		}
	}
}

func (x *exam) logCure() string {
	if x.Name != "" {
		return "take it there with dmesg, and give it with --log FILE"
	}
	return "run it as root, or: dmesg | ivt doctor --log -"
}

// blind is what the pictures themselves could not see, and what follows from it. Holders who could not be named and
// map methods are said here too.
func (x *exam) blind() (all []Unseen) {
	for _, b := range x.m.Blind {
		all = append(all, Unseen{b.What, b.Why, b.Cure})
	}
	for _, p := range x.m.Problems {
		all = append(all, Unseen{What: fmt.Sprintf("line %d of /proc/interrupts", p.Line), Why: strings.TrimSpace(p.Reason)})
	}
	return all
}
