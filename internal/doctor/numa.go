package doctor

import (
	"fmt"
	"slices"

	"github.com/ivtd/ivt/internal/host"
)

// The rates from which it matters where an interrupt runs, a second.
const (
	busyDevice = 5000
	busyQueue  = 100
)

// lookDistance reports busy devices whose interrupts all run on another NUMA node than the device's.
func lookDistance(x *exam) string {
	nodes := 0
	for _, n := range x.m.CPUs.Nodes {
		if n.CPUs.And(x.m.CPUs.Online).Len() > 0 {
			nodes++
		}
	}
	if nodes < 2 {
		return "one NUMA node"
	}
	looked := 0
	for _, d := range x.m.Devices {
		near := x.node(d.Node)
		if near.Len() == 0 || len(d.IRQs) == 0 {
			continue
		}
		looked++
		if far, rate, how := x.farIRQs(d, near); len(far) > 0 && rate >= busyDevice {
			x.addFar(d, near, far, rate, how)
		}
	}
	return fmt.Sprintf("%s on %d NUMA nodes", plural(looked, "device"), nodes)
}

// node are the online CPUs of a node.
func (x *exam) node(number int) host.CPUSet {
	for _, n := range x.m.CPUs.Nodes {
		if n.Number == number {
			return n.CPUs.And(x.m.CPUs.Online)
		}
	}
	return host.CPUSet{}
}

// farIRQs are the interrupts of d that can be set and run on no near CPU, with their rate together.
func (x *exam) farIRQs(d *host.Device, near host.CPUSet) (far []*host.IRQ, rate float64, how string) {
	for _, number := range d.IRQs {
		q := x.m.IRQ(number)
		if q == nil || q.Affinity == nil || q.Affinity.Managed == host.Yes || q.Affinity.Effective.Len() == 0 || q.Affinity.Effective.And(near).Len() > 0 {
			continue
		}
		if r, h, ok := x.rate(q); ok && r > 0 {
			far, rate, how = append(far, q), rate+r, h
		}
	}
	return far, rate, how
}

func (x *exam) addFar(d *host.Device, near host.CPUSet, far []*host.IRQ, rate float64, how string) {
	f := Finding{
		Severity: Notice, Title: fmt.Sprintf("%s: %s on another NUMA node than the device's", deviceName(d), fires(len(far))),
		Evidence: []Evidence{{From: "/sys/bus/pci/devices/" + d.Address + "/numa_node", Value: fmt.Sprint(d.Node)}, {From: "rate", Value: fmt.Sprintf("%.0f a second %s", rate, how)}},
		Meaning:  "Each interrupt and the data that it announces cross between the nodes. At high rates that costs latency and throughput; for a device that waits for a task on the far node it can be right.",
		Remedies: []Remedy{{Do: "Move them to the CPUs of the device's node.", Command: "ivt affinity " + far[0].Name() + " " + near.String(), Risk: "These CPUs get the load; irqbalance may move them again."}},
	}
	f.Evidence = append(f.Evidence, list(far, func(q *host.IRQ) Evidence {
		return Evidence{From: fmt.Sprintf("/proc/irq/%d/effective_affinity_list", q.Number), Value: fmt.Sprintf("%s: %s", q.Affinity.Effective, names(q))}
	})...)
	for _, q := range far {
		f.Vectors = append(f.Vectors, q.Name())
	}
	x.add(f)
}

// lookCrowded reports busy devices with several queues whose interrupts all run on one CPU of many.
func lookCrowded(x *exam) string {
	looked := 0
	for _, d := range x.m.Devices {
		if len(d.IRQs) < 4 || x.m.CPUs.Online.Len() < 4 {
			continue
		}
		looked++
		queues, rate, how := x.busyQueues(d)
		if cpu, same := oneCPU(queues); same && len(queues) >= 4 && rate >= busyDevice && !x.housekeepingIs(cpu) {
			x.addCrowded(d, queues, cpu, rate, how)
		}
	}
	return plural(looked, "device") + " with several queues"
}

func (x *exam) busyQueues(d *host.Device) (queues []*host.IRQ, rate float64, how string) {
	for _, number := range d.IRQs {
		q := x.m.IRQ(number)
		if q == nil || q.Affinity == nil || q.Affinity.Effective.Len() == 0 {
			continue
		}
		if r, h, ok := x.rate(q); ok && r >= busyQueue {
			queues, rate, how = append(queues, q), rate+r, h
		}
	}
	return queues, rate, how
}

// oneCPU reports whether all interrupts go to one and the same CPU.
func oneCPU(queues []*host.IRQ) (cpu int, same bool) {
	for i, q := range queues {
		switch e := q.Affinity.Effective; {
		case e.Len() != 1:
			return 0, false
		case i == 0:
			cpu = first(e)
		case first(e) != cpu:
			return 0, false
		}
	}
	return cpu, len(queues) > 0
}

// housekeepingIs reports whether the machine leaves only this CPU for interrupts: then it is as it was wanted.
func (x *exam) housekeepingIs(cpu int) bool {
	set, _ := x.isolated()
	rest := x.without(set)
	return rest.Len() == 1 && rest.Has(cpu) || slices.Contains(x.m.Cmdline, fmt.Sprintf("irqaffinity=%d", cpu))
}

func (x *exam) addCrowded(d *host.Device, queues []*host.IRQ, cpu int, rate float64, how string) {
	f := Finding{
		Severity: Notice, Title: fmt.Sprintf("%s: all %d busy queues interrupt CPU %d", deviceName(d), len(queues), cpu),
		Evidence: []Evidence{{From: "rate", Value: fmt.Sprintf("%.0f a second %s", rate, how)}},
		Meaning:  "The device has a queue for each of several CPUs, and one CPU serves them all: it becomes the limit while the others idle.",
		Remedies: []Remedy{{Do: "Spread them: run irqbalance, or set each by hand.", Command: "systemctl start irqbalance", Risk: "It moves other interrupts too."},
			{Do: "See who asked for that.", Command: fmt.Sprintf("cat /proc/irq/default_smp_affinity /proc/irq/%d/smp_affinity_list", queues[0].Number)}},
	}
	f.Evidence = append(f.Evidence, list(queues, func(q *host.IRQ) Evidence {
		return Evidence{From: fmt.Sprintf("/proc/irq/%d/effective_affinity_list", q.Number), Value: fmt.Sprintf("%s: %s", q.Affinity.Effective, names(q))}
	})...)
	for _, q := range queues {
		f.Vectors = append(f.Vectors, q.Name())
	}
	x.add(f)
}
