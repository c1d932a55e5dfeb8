package host

// Parts says which parts of a Machine to read. /proc/interrupts is always read.
type Parts uint16

// The parts, with what they cost on a live machine.
const (
	PartCounts      Parts = 1 << iota // keep the counts of each CPU: 4 bytes each. Totals are always there
	PartDevices                       // /sys/bus/pci: device, driver, MSI kind and index; a few calls a device
	PartDetail                        // NUMA node, IOMMU group, interfaces, SR-IOV; needs PartDevices; a dozen calls a device
	PartNames                         // pci.ids; one file of 1.5 MB
	PartAffinity                      // /proc/irq/N/smp_affinity_list and others; five files an irq
	PartSpurious                      // /proc/irq/N/spurious; one file an irq
	PartDescriptors                   // /sys/kernel/irq/N and debugfs, also irqs without handler; some files an irq
	PartThreads                       // kernel threads of threaded handlers; one file a process
	PartHolders                       // processes, by their descriptors; one call a descriptor of the machine. Brings PartDevices and PartDetail
	PartSystem                        // CPUs, nodes, softirqs, GPEs, kernel parameters; some dozen files
	PartAll         Parts = 1<<iota - 1
	// PartList is what a list needs: totals, handlers, devices, drivers.
	PartList = PartDevices
)

// Options say what Root.Read reads. The zero value reads /proc/interrupts alone, without each CPU's counts.
type Options struct {
	Parts Parts
	// Only restricts the parts that cost files per irq to these numbers; nil means all.
	Only []int
}

// complete adds the parts that others need.
func (p Parts) complete() Parts {
	if p&PartHolders != 0 {
		p |= PartDetail
	}
	if p&(PartDetail|PartNames) != 0 {
		p |= PartDevices
	}
	return p
}
