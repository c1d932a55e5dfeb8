package explain

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lines that people posted, and what the rule of __setup_irq makes of them.
func TestWhichConditionRefused(t *testing.T) {
	for line, want := range map[string]struct {
		failed []string
		double bool
		fault  string
	}{
		"Flags mismatch irq 11. 00000000 (echodev-irq) vs. 00000080 (uhci_hcd:usb1)":                         {[]string{"both share"}, false, "echodev-irq, the newcomer"},
		"Flags mismatch irq 29. 00000084 (test_irq) vs. 00000004 (f8003000.dmac)":                            {[]string{"both share"}, false, "f8003000.dmac, the holder"},
		"Flags mismatch irq 14. 00200081 (hvisor_virtio_device) vs. 00200081 (hvisor_virtio_device)":         {nil, false, "The description of the line"},
		"Flags mismatch irq 4. 00000000 (serial) vs. 00000080 (goldfish_pdev_bus)":                           {[]string{"both share"}, false, "serial, the newcomer"},
		"Flags mismatch irq 39. 00002084 (PCIe bwctrl) vs. 00200084 (PCIe PME)":                              {[]string{"same one-shot"}, false, "not symmetric"},
		"Flags mismatch irq 39. 00002084 (PCIe bwctrl) vs.00200084 (PCIe PME)":                               {[]string{"same one-shot"}, false, "not symmetric"},
		"Flags mismatch irq 39. 00200084 (PCIe PME) vs. 00002084 (PCIe bwctrl)":                              {nil, false, "The description of the line"},
		"Flags mismatch irq 0. 00000080 (virtio418) vs. 00015a00 (timer)":                                    {[]string{"both share"}, false, "system timer"},
		"Flags mismatch irq 27. 00000004 (dma controller error irq) vs. 00000004 (dma controller error irq)": {[]string{"both share"}, true, "asked twice"},
		"Flags mismatch irq 16. 00002000 (mei_me) vs. 00000000 (xhci_hcd)":                                   {[]string{"both share", "same one-shot"}, false, "Both: neither shares"},
		"Flags mismatch irq 191. 00082008 (hid-over-i2c) vs. 00082008 (hid-over-i2c)":                        {[]string{"both share"}, true, "asked twice"},
		"Flags mismatch irq 76. 00002001 (bmc150_magn_event) vs. 00000001 (bmc150_accel_event)":              {[]string{"both share", "same one-shot"}, false, "Both: neither shares"},
		"Flags mismatch irq 139. 00000000 (eth0:ch24:emac) vs. 00000000 (eth0:ch24:emac)":                    {[]string{"both share"}, true, "asked twice"},
		"Flags mismatch irq 16. 00000084 (a) vs. 00000081 (b)":                                               {[]string{"same trigger"}, false, "different triggers"},
		"Flags mismatch irq 16. 00000480 (a) vs. 00000080 (b)":                                               {[]string{"same per-CPU"}, false, "Nobody's"},
		"Flags mismatch irq 16. 00002080 (a) vs. 00000080 (b)":                                               {[]string{"same one-shot"}, false, "threaded handler"},
		"Flags mismatch irq 16. 00000080 (a) vs. 00002080 (b)":                                               {[]string{"same one-shot"}, false, "threaded handler"},
		"Flags mismatch irq 16. 00200080 (a) vs. 00000000 (vfio-intx(0000:00:1f.3))":                         {[]string{"both share"}, false, "vfio-intx(0000:00:1f.3), the holder"},
		"Flags mismatch irq 5. 00000000 (a) vs. 00000000 (parenthesis) vs. 00000080 (confusing))":            {[]string{"both share"}, false, "newcomer"},
	} {
		t.Run(line, func(t *testing.T) {
			found := scan(t, line, false)
			if len(found) != 1 || found[0].Mismatch == nil {
				t.Fatalf("%v", ids(found))
			}
			m := found[0].Mismatch
			var failed []string
			for _, c := range m.Conditions {
				if !c.Holds {
					failed = append(failed, c.Name)
				}
			}
			if diff := cmp.Diff(want.failed, failed); diff != "" {
				t.Error(diff)
			}
			if m.Double != want.double || !strings.Contains(m.Fault, want.fault) {
				t.Errorf("double %v, fault %q", m.Double, m.Fault)
			}
		})
	}
}

// rule is __setup_irq of Linux 6.12 for a line that has a handler and the trigger of that handler.
func rule(n, o uint32) (granted bool) {
	const shared, oneshot, cond, perCPU, trigger = 0x80, 0x2000, 0x200000, 0x400, 0x0f
	if o&n&shared == 0 || o&trigger != n&trigger {
		return false
	}
	if o&oneshot != 0 && n&cond != 0 {
		n |= oneshot
	} else if (o^n)&oneshot != 0 {
		return false
	}
	return o&perCPU == n&perCPU
}

// All combinations of the bits that the rule looks at.
func TestTheFourConditionsAreTheKernelsRule(t *testing.T) {
	bits := []uint32{0x1, 0x4, 0x80, 0x400, 0x2000, 0x200000}
	word := func(n int) (w uint32) {
		for i, b := range bits {
			if n>>i&1 != 0 {
				w |= b
			}
		}
		return w
	}
	for i := range 1 << len(bits) {
		for j := range 1 << len(bits) {
			n, o := word(i), word(j)
			holds := true
			for _, c := range ExplainMismatch(n, "a", o, "b").Conditions {
				holds = holds && c.Holds
			}
			if holds != rule(n, o) {
				t.Fatalf("%08x vs. %08x: conditions %v, rule %v", n, o, holds, rule(n, o))
			}
		}
	}
}

func TestFlagNames(t *testing.T) {
	for flags, want := range map[uint32]string{
		0:          "none",
		0x2084:     "IRQF_TRIGGER_HIGH | IRQF_SHARED | IRQF_ONESHOT",
		0x15a00:    "IRQF_TIMER | IRQF_NOBALANCING | IRQF_IRQPOLL | IRQF_NO_SUSPEND | IRQF_NO_THREAD",
		0x82008:    "IRQF_TRIGGER_LOW | IRQF_ONESHOT | IRQF_NO_AUTOEN",
		0x80000080: "IRQF_SHARED | 0x80000000",
	} {
		if got := FlagNames(flags); got != want {
			t.Errorf("%x: %s", flags, got)
		}
	}
}
