package host

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// system reads what concerns the whole machine.
func (g *reading) system() {
	g.cpus()
	g.nodes()
	g.gpes()
	g.Cmdline = relevant(g.textOr("proc/cmdline"))
	eachPair(g.textOr("proc/stat"), " ", func(key, value string) {
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && key == "btime" {
			g.Booted = time.Unix(seconds, 0).UTC()
		}
	})
	table, err := g.Root.Softirqs()
	if err != nil {
		g.blind("softirqs", "proc/softirqs", err)
		return
	}
	for i := range table.Rows {
		g.Machine.Softirqs = append(g.Machine.Softirqs, archRow(&table.Rows[i]))
	}
	g.SoftirqColumns = table.CPUs
}

func (g *reading) cpus() {
	const dir = "sys/devices/system/cpu/"
	for _, c := range []struct {
		file string
		set  *CPUSet
	}{{"online", &g.CPUs.Online}, {"possible", &g.CPUs.Possible}, {"isolated", &g.CPUs.Isolated}, {"nohz_full", &g.CPUs.NohzFull}} {
		s, err := g.text(dir + c.file)
		if err != nil {
			continue // before 4.2 and without CONFIG_NO_HZ_FULL there is no such file
		}
		if s == "(null)" { // nohz_full before 5.x, where it is not used
			s = ""
		}
		if set, ok := ParseCPUList(s); ok {
			*c.set = set
		}
	}
}

func (g *reading) nodes() {
	const dir = "sys/devices/system/node"
	for _, name := range g.names(dir) {
		number, err := strconv.Atoi(strings.TrimPrefix(name, "node"))
		if err != nil {
			continue
		}
		if set, ok := ParseCPUList(g.textOr(dir + "/" + name + "/cpulist")); ok {
			g.CPUs.Nodes = append(g.CPUs.Nodes, Node{Number: number, CPUs: set})
		}
	}
}

// gpes reads counter_show of drivers/acpi/sysfs.c: "       9  EN     enabled      unmasked".
func (g *reading) gpes() {
	const dir = "sys/firmware/acpi/interrupts"
	for _, name := range g.names(dir) {
		count, state, _ := strings.Cut(strings.TrimSpace(g.textOr(dir+"/"+name)), " ")
		n, err := strconv.ParseUint(count, 10, 64)
		if err != nil {
			continue
		}
		g.GPEs = append(g.GPEs, GPE{Name: name, Count: n, State: strings.Join(strings.Fields(state), " ")})
	}
}

// parameters are the kernel parameters that concern interrupts (Documentation/admin-guide/kernel-parameters.txt).
// The others may be secrets and are of no use here.
var parameters = []string{"acpi_irq_*", "acpi_mask_gpe", "amd_iommu", "apic", "intel_iommu", "intremap", "iommu", "irqaffinity", "irqfixup",
	"irqhandler.duration_warn_us", "irqpoll", "isolcpus", "maxcpus", "no_timer_check", "noapic", "nohz_full", "noirqdebug",
	"nolapic", "nosmp", "nox2apic", "nr_cpus", "pci", "pcie_aspm", "pcie_hp", "pcie_pme", "pcie_ports", "possible_cpus",
	"rcu_nocb_poll", "rcu_nocbs", "threadirqs", "uio*", "vfio*"}

func relevant(cmdline string) (kept []string) {
	for word := range strings.FieldsSeq(cmdline) {
		name, _, _ := strings.Cut(word, "=")
		if slices.ContainsFunc(parameters, func(p string) bool {
			prefix, isPrefix := strings.CutSuffix(p, "*")
			return name == p || isPrefix && strings.HasPrefix(name, prefix)
		}) {
			kept = append(kept, word)
		}
	}
	return kept
}

// arch is what the kernel says (since 6.1), or what the rows show.
func (g *reading) arch() string {
	if arch := g.textOr("proc/sys/kernel/arch"); arch != "" {
		return arch
	}
	labels := map[string]bool{}
	for _, row := range g.Rows {
		labels[row.Label] = true
	}
	chip := func(names ...string) bool {
		return slices.ContainsFunc(g.IRQs, func(q IRQ) bool {
			return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(q.Chip, name) })
		})
	}
	switch {
	case labels["EXT"] && labels["I/O"]:
		return "s390x"
	case labels["MIS"] || labels["TLB"] || chip("IO-APIC"):
		return "x86"
	case chip("GIC") || labels["Err"] && labels["IPI0"]:
		return "arm"
	case chip("RISC-V", "SiFive", "APLIC"):
		return "riscv"
	case labels["DBL"] || labels["HMI"] || chip("XICS", "XIVE", "MPIC"):
		return "powerpc"
	}
	return ""
}
