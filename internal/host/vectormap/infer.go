package vectormap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// infer counts, for each CPU, the irqs whose effective affinity names it. On x86 an interrupt goes to one CPU, so
// each of these has at most one vector there. It is an upper bound: a managed irq whose CPUs are all offline, and one that
// is promised a vector, have an effective affinity and no vector.
func infer(ctx context.Context, tree fs.FS) (*Map, error) {
	online, err := cpusOf(tree, "online")
	if err != nil {
		return nil, err
	}
	m := &Map{IRQs: []IRQ{}, Global: Global{Online: len(online), First: Unknown, End: Unknown, Available: Unknown,
		Reserved: Unknown, Managed: Unknown}}
	for _, cpu := range online {
		m.CPUs = append(m.CPUs, CPU{Number: cpu, Online: true, Available: Unknown, Managed: Unknown, ManagedAllocated: Unknown})
	}
	entries, err := fs.ReadDir(tree, "proc/irq")
	if err != nil {
		return nil, err
	}
	unseen := 0
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !m.inferOne(tree, number) {
			unseen++
		}
	}
	slices.SortFunc(m.IRQs, func(a, b IRQ) int { return a.Number - b.Number })
	m.Blind = append(m.Blind, Blind{Method: MethodInference, What: "vectors, how many are free, what is managed or reserved",
		Why: "counted from effective affinities, which include irqs that have no vector now", Cure: "one of the methods above"})
	if unseen > 0 {
		m.Blind = append(m.Blind, Blind{Method: MethodInference, What: fmt.Sprintf("%d irqs", unseen),
			Why: "they have no effective_affinity_list, or their chip is not known to use a vector"})
	}
	return m, nil
}

// inferOne counts one irq; false if nothing is known of it.
func (m *Map) inferOne(tree fs.FS, number int) bool {
	text, err := fs.ReadFile(tree, path.Join("proc/irq", strconv.Itoa(number), "effective_affinity_list"))
	if err != nil || !hasVector(chipOf(tree, number)) {
		return false
	}
	cpus, err := numbers(string(text))
	if err != nil {
		return false
	}
	q := IRQ{Number: number, CPU: Unknown}
	if chip := chipOf(tree, number); chip != "" {
		q.Chips = []string{chip}
	}
	if len(cpus) == 1 {
		if c := m.CPU(cpus[0]); c != nil {
			q.CPU = cpus[0]
			c.Allocated++
			m.Global.Allocated++
		}
	}
	m.IRQs = append(m.IRQs, q)
	return true
}

// hasVector reports whether a chip's interrupts take a CPU vector of their own, by its name. A GPIO chip's, for
// instance, share that of their parent. An unknown name counts: sysfs may be missing.
func hasVector(chip string) bool {
	return chip == "" || slices.ContainsFunc([]string{"APIC", "MSI", "DMAR", "HPET", "AMD-Vi", "INTEL-IR"},
		func(s string) bool { return strings.Contains(chip, s) })
}

func chipOf(tree fs.FS, number int) string {
	text, _ := fs.ReadFile(tree, path.Join("sys/kernel/irq", strconv.Itoa(number), "chip_name"))
	return strings.TrimSpace(string(text))
}

// cpusOf reads a list of /sys/devices/system/cpu: "online", "possible".
func cpusOf(tree fs.FS, which string) ([]int, error) {
	name := path.Join("sys/devices/system/cpu", which)
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	cpus, err := numbers(string(text))
	if err == nil && len(cpus) == 0 {
		err = errors.New("no CPU")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return cpus, nil
}
