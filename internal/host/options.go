package host

// Parts says which parts of a Machine to read. /proc/interrupts is always read.
type Parts uint16

// The parts, with what they cost on a live machine.
const (
	PartDevices     Parts = 1 << iota // the walk of /sys/bus/pci: device, driver, MSI kind and index; some calls a device
	PartNetBlock                      // network interfaces and block devices of each device
	PartNames                         // pci.ids; one file of 1.5 MB
	PartAffinity                      // /proc/irq/N/smp_affinity_list and others; five files an irq
	PartSpurious                      // /proc/irq/N/spurious; one file an irq
	PartDescriptors                   // /sys/kernel/irq/N and debugfs, also irqs without handler; some files an irq
	PartThreads                       // kernel threads of threaded handlers; one file a kernel thread
	PartHolders                       // processes, by their descriptors; one call a descriptor of the machine
	PartSystem                        // CPUs, nodes, softirqs, GPEs, kernel parameters; some dozen files
	PartAll         Parts = 1<<iota - 1
	// PartList is what a list needs: who, which device, which driver.
	PartList = PartDevices
)

// Options say what Root.Read reads. The zero value reads /proc/interrupts alone.
type Options struct {
	Parts Parts
	// Only restricts the parts that cost files per irq to these numbers; nil means all.
	Only []int
}
