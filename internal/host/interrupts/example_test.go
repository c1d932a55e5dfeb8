package interrupts_test

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/internal/host/interrupts"
)

func ExampleRead() {
	table, err := interrupts.Read(strings.NewReader(`           CPU0       CPU2       
 16:          5        881  IO-APIC  16-fasteoi   i801_smbus, ehci_hcd:usb1
NMI:          1          1   Non-maskable interrupts
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("CPUs", table.CPUs)
	for _, row := range table.Rows {
		fmt.Println(row.Label, row.Counts, row.Total, row.Text)
	}
	fields := interrupts.ParseText(table.Rows[0].Text)
	fmt.Println(fields.Chip, fields.HWIRQ, fields.Trigger, interrupts.SplitActions(nil, fields.Actions, ""))
	// Output:
	// CPUs [0 2]
	// 16 [5 881] 886 IO-APIC  16-fasteoi   i801_smbus, ehci_hcd:usb1
	// NMI [1 1] 2 Non-maskable interrupts
	// IO-APIC 16 level [i801_smbus ehci_hcd:usb1]
}
