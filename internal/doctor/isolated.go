package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/host"
)

// lookIsolated reports device interrupts that fire on CPUs which are kept free for other work.
func lookIsolated(x *exam) string {
	set, files := x.isolated()
	if set.Len() == 0 {
		return "no CPU is isolated"
	}
	var settable, managed []*host.IRQ
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		if q.Affinity == nil || len(q.Handlers) == 0 || q.Affinity.Effective.And(set).Len() == 0 || !x.firesOn(q, set) {
			continue
		}
		if q.Affinity.Managed == host.Yes {
			managed = append(managed, q)
		} else {
			settable = append(settable, q)
		}
	}
	x.addIsolated(settable, set, files, false)
	x.addIsolated(managed, set, files, true)
	return fmt.Sprintf("%s, isolated CPUs %s", plural(len(x.m.IRQs), "interrupt"), set)
}

// isolated are the CPUs of isolcpus= and nohz_full=, with the files that say so.
func (x *exam) isolated() (set host.CPUSet, files []Evidence) {
	set = host.CPUSet{}
	for _, c := range []struct {
		file string
		cpus host.CPUSet
	}{{"isolated", x.m.CPUs.Isolated}, {"nohz_full", x.m.CPUs.NohzFull}} {
		if c.cpus.Len() == 0 {
			continue
		}
		files = append(files, Evidence{From: "/sys/devices/system/cpu/" + c.file, Value: c.cpus.String()})
		for cpu := range c.cpus.All {
			set.Add(cpu)
		}
	}
	return set, files
}

func (x *exam) addIsolated(found []*host.IRQ, set host.CPUSet, files []Evidence, managed bool) {
	if len(found) == 0 {
		return
	}
	housekeeping := x.without(set)
	f := Finding{Severity: Notice, Evidence: files, Title: fmt.Sprintf("%s on isolated CPUs", fires(len(found)))}
	if managed {
		f.Title = fmt.Sprintf("%s on isolated CPUs, placed by the kernel", fires(len(found)))
	}
	if len(x.rates) > 0 {
		f.Severity = Warning
	}
	f.Evidence = append(f.Evidence, list(found, func(q *host.IRQ) Evidence {
		return Evidence{From: fmt.Sprintf("/proc/irq/%d/effective_affinity_list", q.Number), Value: fmt.Sprintf("%s: %s", q.Affinity.Effective, names(q))}
	})...)
	for _, q := range found {
		f.Vectors = append(f.Vectors, q.Name())
	}
	if managed {
		f.Meaning = "These are managed interrupts: each belongs to the queue of certain CPUs, and user space cannot move them (writing smp_affinity answers EPERM or EIO). They fire there because a task on the isolated CPU uses the queue, or because no other CPU shares it."
		f.Remedies = []Remedy{
			{Do: "Boot with isolcpus=managed_irq,domain," + set.String() + ": the kernel then prefers other CPUs where a queue has some.", Risk: "Takes a reboot."},
			{Do: "Give the device fewer queues, so that each has a CPU for housekeeping too."},
		}
	} else {
		f.Meaning = "They interrupt what the CPUs are isolated for. Isolating keeps tasks away, not interrupts: these must be moved, and kept from coming back when a driver is reloaded."
		f.Remedies = []Remedy{
			{Do: "Move each to the other CPUs.", Command: "ivt affinity " + found[0].Name() + " " + housekeeping.String(), Risk: "The other CPUs get the load."},
			{Do: "Start new ones there too.", Command: "echo " + mask(housekeeping) + " > /proc/irq/default_smp_affinity"},
			{Do: "Keep them there at boot: irqaffinity=" + housekeeping.String() + " on the command line, and IRQBALANCE_BANNED_CPULIST=" + set.String() + " for irqbalance.", Risk: "Takes a reboot."},
		}
	}
	x.add(f)
}

func fires(n int) string {
	if n == 1 {
		return "1 interrupt fires"
	}
	return fmt.Sprintf("%d interrupts fire", n)
}

// without are the online CPUs that are not in the set.
func (x *exam) without(set host.CPUSet) host.CPUSet {
	rest := host.CPUSet{}
	for cpu := range x.m.CPUs.Online.All {
		if !set.Has(cpu) {
			rest.Add(cpu)
		}
	}
	return rest
}

// mask is a set in the format of smp_affinity: "ff,00000001".
func mask(set host.CPUSet) string {
	var groups []string
	for i := range 2 * len(set) {
		groups = append(groups, fmt.Sprintf("%08x", uint32(set[i/2]>>(32*(i%2)))))
	}
	for len(groups) > 1 && groups[len(groups)-1] == "00000000" {
		groups = groups[:len(groups)-1]
	}
	slices.Reverse(groups)
	return firstOf(strings.TrimLeft(strings.Join(groups, ","), "0"), "0")
}

// shown is how many interrupts one finding lists.
const shown = 8

// list makes evidence of the first few interrupts, and says how many more there are.
func list(found []*host.IRQ, evidence func(*host.IRQ) Evidence) (all []Evidence) {
	for i, q := range found {
		if i == shown {
			return append(all, Evidence{From: "further", Value: fmt.Sprintf("%d more, see vectors", len(found)-i)})
		}
		all = append(all, evidence(q))
	}
	return all
}

// lookOffline reports interrupts whose CPUs are all offline: they cannot arrive. A managed one is shut down on purpose
// until a CPU of it comes back.
func lookOffline(x *exam) string {
	var lost []*host.IRQ
	looked := 0
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		a := q.Affinity
		if a == nil || a.Effective.Len() == 0 || len(q.Handlers) == 0 || x.m.CPUs.Online.Len() == 0 {
			continue
		}
		looked++
		if a.Managed != host.Yes && a.Effective.And(x.m.CPUs.Online).Len() == 0 {
			lost = append(lost, q)
		}
	}
	if len(lost) > 0 {
		x.addOffline(lost)
	}
	return plural(looked, "interrupt")
}

func (x *exam) addOffline(lost []*host.IRQ) {
	f := Finding{
		Severity: Warning, Title: fmt.Sprintf("%s only to CPUs that are offline", strings.NewReplacer("fires", "goes", "fire", "go").Replace(fires(len(lost)))),
		Evidence: []Evidence{{From: "/sys/devices/system/cpu/online", Value: x.m.CPUs.Online.String()}},
		Meaning:  "They cannot arrive. Their devices wait for timeouts, if they notice at all. The kernel moves interrupts off a CPU that goes offline; these it could not move.",
		Remedies: []Remedy{{Do: "Move them to CPUs that are online.", Command: "ivt affinity " + lost[0].Name() + " " + x.m.CPUs.Online.String()},
			{Do: "Or bring a CPU of theirs back.", Command: fmt.Sprintf("echo 1 > /sys/devices/system/cpu/cpu%d/online", first(lost[0].Affinity.Effective))}},
	}
	f.Evidence = append(f.Evidence, list(lost, func(q *host.IRQ) Evidence {
		return Evidence{From: fmt.Sprintf("/proc/irq/%d/effective_affinity_list", q.Number), Value: fmt.Sprintf("%s: %s", q.Affinity.Effective, names(q))}
	})...)
	for _, q := range lost {
		f.Vectors = append(f.Vectors, q.Name())
	}
	x.add(f)
}

func first(set host.CPUSet) int {
	for cpu := range set.All {
		return cpu
	}
	return -1
}
