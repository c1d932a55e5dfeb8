package host_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
)

func ExampleRoot_Who() {
	saved := bytes.NewReader(hosttest.Tar(`
== proc/interrupts
           CPU0       CPU1
 26:          5          0 IR-PCI-MSIX-0000:3b:00.0   2-edge      vfio-msix[2](0000:3b:00.0)
== sys/bus/pci/devices/0000:3b:00.0 driver=vfio-pci iommu_group=12 msi_irqs=26:msix
== proc/4711 comm=nicd start=81234 uid=1000 cgroup=/system.slice/nicd.service fd=/dev/vfio/12
`))
	machine, err := host.OpenReader("a saved machine", saved)
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := machine.Who(context.Background(), "/dev/vfio/12")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, holder := range answer.Holders {
		fmt.Println(holder, "by", holder.Via)
	}
	fmt.Println(answer.IRQs[0].Name())
	fmt.Println(answer.Remedies[0])
	// Output:
	// pid 4711 (nicd, uid 1000, unit nicd.service) by /dev/vfio/12 (fd 3)
	// pci:0000:3b:00.0/msix/2
	// systemctl stop nicd.service
}
