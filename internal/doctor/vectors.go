package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
)

// perCPU is how many vectors an x86 CPU has for devices, about: 203 less the few that the system takes out of them.
const perCPU = 200

// lookVectors reports CPUs that are full or nearly so, and what the log says of it.
func lookVectors(x *exam) string {
	looked := []string{}
	if x.Log != nil {
		looked = append(looked, fromLog(x))
	}
	switch {
	case x.m.Arch != "" && !x.isX86():
	case x.Map == nil:
		if x.isX86() {
			x.unsee("how full the CPUs' vectors are", firstOf(x.MapWhy, "no map of the vectors was read"), "run it as root on the live machine")
		}
	case x.Map.Exact():
		if x.Map.Global.Available == vectormap.Unknown {
			x.inferredMap() // who has which vector is known, and not how many more there are
			x.whyInferred()
		} else {
			x.exactMap()
		}
		looked = append(looked, fmt.Sprintf("the vectors of %s (%s)", plural(x.Map.Global.Online, "CPU"), x.Map.Method))
	default:
		x.inferredMap()
		x.whyInferred()
		looked = append(looked, fmt.Sprintf("the effective affinities of %s on %s", plural(len(x.Map.IRQs), "interrupt"), plural(x.Map.Global.Online, "CPU")))
	}
	if len(looked) == 0 {
		return "nothing"
	}
	return strings.Join(looked, ", ")
}

// exactMap looks at the kernel's own counters.
func (x *exam) exactMap() {
	g := x.Map.Global
	full := x.Map.Full()
	capacity := g.Available + g.Allocated
	switch {
	case len(full) == g.Online && g.Online > 0:
		x.addFull(Serious, full, "No CPU has a vector left", "Every further request for an interrupt fails with ENOSPC: a driver that is loaded, a device that is plugged in, a queue that is added.")
	case len(full) > 0:
		s := Notice
		if 4*len(full) >= g.Online {
			s = Warning
		}
		x.addFull(s, full, fmt.Sprintf("%s: no vector is left there", cpuNames(full)), "Writing an affinity that names only these CPUs fails with ENOSPC, and not for a moment: trying again does not help. Interrupts that must run there (managed ones) may not start.")
	case capacity > 0 && 20*g.Available < capacity:
		x.addFull(Notice, nil, fmt.Sprintf("Only %d of %d CPU vectors are free", g.Available, capacity), "The machine is close to the end of its vectors. A device with many queues, or one with many virtual functions, will not get all it asks for.")
	}
	if g.Reserved > g.Available {
		x.addFull(Warning, nil, fmt.Sprintf("%d interrupts are promised a vector and only %d are free", g.Reserved, g.Available), "Allocated interrupts take their vector when they are started. Not all of these can be: a request will fail with ENOSPC.")
	}
}

// inferredMap counts effective affinities, or the vectors in use. It is not known how many are free, so only a count that leaves no doubt is reported.
func (x *exam) inferredMap() {
	if !x.isX86() {
		return
	}
	var full []int
	for _, c := range x.Map.CPUs {
		if c.Allocated >= perCPU-5 {
			full = append(full, c.Number)
		}
	}
	if len(full) > 0 {
		x.addFull(Notice, full, cpuNames(full)+": probably no vector is left there", fmt.Sprintf("So many interrupts are placed on them that their vectors, about %d a CPU, must be used up. Writing an affinity that names only these CPUs then fails with ENOSPC.", perCPU))
	}
}

// whyInferred says which better methods did not work.
func (x *exam) whyInferred() {
	for _, b := range x.Map.Blind {
		if b.Method != vectormap.MethodInference {
			x.unsee(fmt.Sprintf("CPU vectors (%s): %s", b.Method, b.What), b.Why, b.Cure)
		}
	}
}

func (x *exam) addFull(s Severity, full []int, title, meaning string) {
	f := Finding{Severity: s, Title: title, Meaning: meaning, Evidence: x.fullEvidence(full)}
	users := x.largestUsers()
	if len(users) > 0 {
		f.Meaning += " Most interrupts belong to " + userText(users) + "."
	}
	f.Remedies = []Remedy{{Do: "See how full each CPU is, and with what.", Command: "ivt list --map"}}
	for _, u := range users {
		if u.net != "" {
			f.Remedies = append(f.Remedies, Remedy{Do: fmt.Sprintf("Use fewer queues on %s, which has %d interrupts.", u.net, u.count), Command: "ethtool -L " + explain.ShellWord(u.net) + " combined " + fmt.Sprint(max(1, u.count/2)),
				Risk: "The interface stops for a moment; lower peak throughput."})
			break
		}
	}
	if len(full) > 0 && len(full) < x.m.CPUs.Online.Len() {
		f.Remedies = append(f.Remedies, Remedy{Do: "Move interrupts that need not be there to other CPUs.", Command: "ivt affinity VECTOR CPUS", Risk: "Caches of the old CPU are cold on the new one."})
	}
	x.add(f)
}

func (x *exam) fullEvidence(full []int) (all []Evidence) {
	from := "vectors (" + string(x.Map.Method) + ")"
	if x.Map.Exact() {
		g := x.Map.Global
		if g.Available != vectormap.Unknown {
			all = append(all, Evidence{From: from, Value: fmt.Sprintf("%d in use, %d free, %d promised on %s", g.Allocated, g.Available, g.Reserved, plural(g.Online, "CPU"))})
		}
	}
	for i, n := range full {
		if i == 4 {
			all = append(all, Evidence{From: from, Value: fmt.Sprintf("and %d more CPUs", len(full)-i)})
			break
		}
		if c := x.Map.CPU(n); c != nil {
			all = append(all, Evidence{From: from, Value: cpuEvidence(c)})
		}
	}
	return all
}

func cpuEvidence(c *vectormap.CPU) string {
	if c.Available == vectormap.Unknown {
		return fmt.Sprintf("CPU %d: %d interrupts have it as their effective affinity", c.Number, c.Allocated)
	}
	return fmt.Sprintf("CPU %d: %d in use, %d set aside for managed interrupts, %d free", c.Number, c.Allocated, c.Managed, c.Available)
}

// cpuNames is "CPU 3" or "CPUs 0-3,8".
func cpuNames(cpus []int) string {
	if len(cpus) == 1 {
		return fmt.Sprintf("CPU %d", cpus[0])
	}
	return "CPUs " + host.NewCPUSet(cpus...).String()
}

// A user is a device with its interrupts.
type user struct {
	name, net string
	count     int
}

// largestUsers are the three devices with the most interrupts, of those with at least eight.
func (x *exam) largestUsers() (users []user) {
	for _, d := range x.m.Devices {
		if len(d.IRQs) < 8 {
			continue
		}
		u := user{name: deviceName(d), count: len(d.IRQs)}
		if len(d.Net) == 1 {
			u.net = d.Net[0]
		}
		users = append(users, u)
	}
	slices.SortStableFunc(users, func(a, b user) int { return cmp.Compare(b.count, a.count) })
	return users[:min(3, len(users))]
}

func userText(users []user) string {
	var parts []string
	for _, u := range users {
		parts = append(parts, fmt.Sprintf("%s (%d)", u.name, u.count))
	}
	return strings.Join(parts, ", ")
}
