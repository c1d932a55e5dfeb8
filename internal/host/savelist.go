package host

// saved are the files of a saved machine, as patterns of path.Match. Where a pattern leads through a link
// (sys/bus/pci/devices/*/irq), the link is saved and the file at its real place, so that the archive can also be unpacked.
//
// Left out are: command lines, environments, executables and other descriptors of processes; names of users; addresses
// of network interfaces, also where an interface is named after its own; serial numbers; the host's name; kernel
// parameters that do not concern interrupts; the kernel's log.
var saved = []string{
	"proc/interrupts", "proc/softirqs", "proc/sys/kernel/osrelease", "proc/sys/kernel/arch", "proc/pressure/irq",
	"proc/irq/default_smp_affinity",
	"proc/irq/*/smp_affinity_list", "proc/irq/*/effective_affinity_list", "proc/irq/*/affinity_hint", "proc/irq/*/node", "proc/irq/*/spurious",
	"sys/kernel/irq/*/actions", "sys/kernel/irq/*/chip_name", "sys/kernel/irq/*/hwirq", "sys/kernel/irq/*/name",
	"sys/kernel/irq/*/per_cpu_count", "sys/kernel/irq/*/type", "sys/kernel/irq/*/wakeup",
	"sys/kernel/debug/irq/irqs/*", "sys/kernel/debug/irq/domains/*", "sys/kernel/debug/gpio", "sys/kernel/debug/pinctrl/*/pinmux-pins",
	"sys/devices/system/cpu/online", "sys/devices/system/cpu/possible", "sys/devices/system/cpu/present",
	"sys/devices/system/cpu/isolated", "sys/devices/system/cpu/nohz_full", "sys/devices/system/node/node*/cpulist",
	"sys/bus/pci/devices/*/uevent", "sys/bus/pci/devices/*/irq", "sys/bus/pci/devices/*/numa_node", "sys/bus/pci/devices/*/local_cpulist",
	"sys/bus/pci/devices/*/class", "sys/bus/pci/devices/*/vendor", "sys/bus/pci/devices/*/device", "sys/bus/pci/devices/*/driver_override",
	"sys/bus/pci/devices/*/msi_bus", "sys/bus/pci/devices/*/sriov_totalvfs", "sys/bus/pci/devices/*/sriov_numvfs",
	"sys/bus/pci/devices/*/driver", "sys/bus/pci/devices/*/iommu_group", "sys/bus/pci/devices/*/msi_irqs/*",
	"sys/bus/platform/devices/*/driver", "sys/bus/platform/devices/*/msi_irqs/*", "sys/bus/amba/devices/*/driver", "sys/bus/amba/devices/*/msi_irqs/*",
	"sys/bus/fsl-mc/devices/*/driver", "sys/bus/fsl-mc/devices/*/msi_irqs/*", "sys/bus/virtio/devices/*",
	"sys/class/net/*", "sys/class/net/*/operstate", "sys/class/net/*/lower_*", "sys/class/block/*", "sys/class/block/*/slaves/*",
	"sys/class/nvme-subsystem/*/nvme*", "sys/class/vfio-dev/*", "sys/class/uio/*", "sys/class/uio/*/name", "sys/class/uio/*/event",
	"sys/class/tty/tty[A-Z]*", "sys/class/tty/tty[A-Z]*/irq", "sys/class/tty/console/active", "sys/class/sound/*", "sys/class/rtc/*", "sys/class/iommu/*", "sys/bus/gpio/devices/*",
	"sys/firmware/acpi/interrupts/*", "sys/module/irqbypass/parameters/*", "sys/module/vfio_pci/parameters/*", "sys/module/vfio_pci_core/parameters/*",
}
