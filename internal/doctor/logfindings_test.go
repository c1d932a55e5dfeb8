package doctor

import (
	"fmt"
	"strings"
	"testing"
)

// with returns the healthy machine with one part replaced.
func with(old, replacement string) string {
	if !strings.Contains(healthy, old) {
		panic("the healthy machine has no " + old)
	}
	return strings.Replace(healthy, old, replacement, 1)
}

func log(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func TestFlagsMismatch(t *testing.T) {
	const id = "flags-mismatch"
	t.Run("refused", func(t *testing.T) {
		f := expect(t, Examine(scene{tree: healthy, log: log("[ 17.6] genirq: Flags mismatch irq 16. 00002000 (mei_me) vs. 00000080 (i801_smbus)")}.input(t)), id,
			"warning: mei_me was refused irq 16, which i801_smbus holds")
		f.mentions(t, "mei_me did not ask to share", "At fault: mei_me", "irq:16", "i801_smbus, ehci_hcd:usb1", "ivt who irq:16")
	})
	t.Run("got it since", func(t *testing.T) {
		expect(t, Examine(scene{tree: healthy, log: log("genirq: Flags mismatch irq 16. 00000000 (i801_smbus) vs. 00000080 (ehci_hcd:usb1)")}.input(t)), id, "info: ")
	})
	t.Run("asked twice", func(t *testing.T) {
		expect(t, Examine(scene{tree: healthy, log: log("genirq: Flags mismatch irq 127. 00000000 (eth0) vs. 00000000 (eth0)")}.input(t)), id, "warning: ").mentions(t, "asked twice")
	})
	t.Run("VFIO", func(t *testing.T) {
		expect(t, Examine(scene{tree: healthy, log: log("genirq: Flags mismatch irq 16. 00000080 (snd_hda_intel) vs. 00000000 (vfio-intx(0000:00:1f.4))")}.input(t)), id, "warning: ").mentions(t, "MSI or MSI-X")
	})
	t.Run("in an earlier boot", func(t *testing.T) {
		l := log("[ 17.6] genirq: Flags mismatch irq 16. 00002000 (mei_me) vs. 00000080 (i801_smbus)", "[    0.000000] Linux version 6.18.0 (x) #1 SMP")
		expect(t, Examine(scene{tree: healthy, log: l}.input(t)), id, "notice: mei_me was refused irq 16, which i801_smbus holds (in an earlier boot)")
	})
	t.Run("another machine's log", func(t *testing.T) {
		l := log("[    0.000000] Linux version 5.10.0 (x) #1 SMP", "[ 17.6] genirq: Flags mismatch irq 125. 00002000 (mei_me) vs. 00000080 (i801_smbus)")
		r := Examine(scene{tree: healthy, log: l}.input(t))
		f := expect(t, r, id, "warning: ")
		if len(f.Evidence) != 1 || f.Vectors[0] != "irq:125" || r.Log.Other == "" {
			t.Errorf("it was compared with this machine: %v %v", f.Evidence, f.Vectors)
		}
	})
	t.Run("a program's word", func(t *testing.T) {
		r := Examine(scene{tree: healthy, log: log("Nov 23 07:45:00 host joker: genirq: Flags mismatch irq 16. 00002000 (a) vs. 00000080 (b)")}.input(t))
		expect(t, r, id)
		if r.Log.Foreign != 1 {
			t.Errorf("%d foreign lines", r.Log.Foreign)
		}
	})
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: healthy, log: healthyLog}.input(t)), id) })
}

var nobodyCared = log(
	`[  500.1] irq 16: nobody cared (try booting with the "irqpoll" option)`,
	"[  500.2] CPU: 2 PID: 0 Comm: swapper/2 Not tainted 6.18.0 #1",
	"[  500.3] handlers:",
	"[  500.4] [<000000003a1b2c3d>] i801_isr [i2c_i801]",
	"[  500.5] [<00000000deadbeef>] usb_hcd_irq [usbcore]",
	"[  500.6] Disabling IRQ #16")

func TestNobodyCared(t *testing.T) {
	const id = "nobody-cared"
	silent := healthy + "== sys/bus/pci/devices/0000:05:00.0 class=0x040100 irq=16 numa_node=-1\n"
	t.Run("with a device without driver on the wire", func(t *testing.T) {
		expect(t, Examine(scene{tree: silent, log: nobodyCared}.input(t)), id, "serious: irq 16 fired again and again").
			mentions(t, "likely culprit is 0000:05:00.0", "usb_hcd_irq [usbcore]", "irq:16", "switched the line off")
	})
	t.Run("with two drivers", func(t *testing.T) {
		expect(t, Examine(scene{tree: healthy, log: nobodyCared}.input(t)), id, "serious: ").mentions(t, "one of the devices on this line")
	})
	t.Run("works again", func(t *testing.T) {
		later := with("       3000          0  IR-IO-APIC  16", "       3500          0  IR-IO-APIC  16")
		expect(t, Examine(scene{tree: later, before: healthy, log: nobodyCared}.input(t)), id, "notice: ").mentions(t, "works again")
	})
	t.Run("seen in debugfs, gone from the log", func(t *testing.T) {
		tree := healthy + "== sys/kernel/debug/irq/irqs/16\nhandler:  handle_fasteoi_irq\ndevice:   (null)\nstatus:   0x00000000\nistate:   0x00000020\n            IRQS_SPURIOUS_DISABLED\nddepth:   1\n"
		expect(t, Examine(scene{tree: tree, log: healthyLog}.input(t)), id, "serious: irq 16 is switched off")
	})
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: silent, log: healthyLog}.input(t)), id) })
}

func TestNoHandlerForVector(t *testing.T) {
	const id = "no-handler-for-vector"
	repeat := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	for name, test := range map[string]struct{ log, want string }{
		"at boot, the place of IRQ 7":      {"[    0.006140] __common_interrupt: 1.55 No irq handler for vector\n", "info: "},
		"2.6":                              {"kernel:do_IRQ: 8.71 No irq handler for vector (irq -1)\n", "info: "},
		"4.x":                              {"[74530.686555] do_IRQ: 10.232 No irq handler for vector\n", "info: "},
		"5.8 to 6.9":                       {"[74530.686555] common_interrupt: 10.232 No irq handler for vector\n", "info: "},
		"6.12 and newer":                   {"[74530.686555] No irq handler for 10.232\n", "info: "},
		"again and again":                  {repeat(20, "[74530.686555] No irq handler for 10.232"), "notice: "},
		"far too often":                    {repeat(2000, "[74530.686555] No irq handler for 10.232"), "warning: "},
		"Xen":                              {"(XEN) CPU2: No irq handler for vector eb (IRQ -23, LAPIC)\n", "info: "},
		"an unexpected trap":               {"[  292.281627] unexpected IRQ trap at vector 00\n", "info: "},
		"a spurious one of the local APIC": {"[ 292.2] Spurious APIC interrupt (vector 0xFF) on CPU#1, should never happen.\n", "info: "},
	} {
		t.Run(name, func(t *testing.T) { expect(t, Examine(scene{tree: healthy, log: test.log}.input(t)), id, test.want) })
	}
	t.Run("absent", func(t *testing.T) { expect(t, Examine(scene{tree: healthy, log: "nothing\n"}.input(t)), id) })
}

// Findings whose evidence is the log alone: one line that makes them, and the healthy log that does not.
func TestFindingsOfTheLog(t *testing.T) {
	for name, test := range map[string]struct{ id, line, want, mentions string }{
		"a refused request":           {"request-failed", "foo 0000:01:00.0: Failed to request IRQ 16: -16", "warning: 0000:01:00.0 did not get an interrupt", "EBUSY"},
		"a refused request, since 7":  {"request-failed", "adi-dma 310a7000.dma: error -EBUSY: request_irq(27) a b dma controller", "warning: 310a7000.dma did not get irq 27", "irq:27"},
		"ACPI without its interrupt":  {"request-failed", "ACPI: SCI (IRQ9) allocation failed", "warning: ACPI did not get", "irq:9"},
		"a polled disk":               {"lost-interrupt", "nvme nvme0: I/O tag 12 (100c) QID 7 timeout, completion polled", "serious: nvme0 had finished", "queue 7"},
		"a lost interrupt":            {"lost-interrupt", "ata1: lost interrupt (Status 0x50)", "warning: ", "ata1"},
		"a network card":              {"lost-interrupt", "ena 0000:00:05.0 eth0: Potential MSIX issue on Tx side Queue = 3. Reset the device", "warning: Queue 3 of eth0", ""},
		"a CPU that must stay":        {"cpu-offline", "CPU 102 has 104 vectors, 99 available. Cannot disable CPU", "notice: CPU 102 cannot be taken offline", "5 vectors too few"},
		"an irq that cannot leave":    {"cpu-offline", "IRQ45: set affinity failed(-22).", "warning: irq 45", "EINVAL"},
		"a pin":                       {"gpio-pin-busy", "sun50i 300b000.pinctrl: pin PC7 already requested by 5010000.spi; cannot claim for 300b000.pinctrl:71", "warning: Pin PC7 is 5010000.spi's", "nobody holds the line"},
		"an irqchip's resources":      {"gpio-pin-busy", "genirq: Failed to request resources for PL2 (irq 137) on irqchip sunxi_pio_edge", "warning: ", "sunxi_pio_edge"},
		"a trigger that cannot be":    {"trigger-config", "genirq: Setting trigger mode 8 for irq 26 failed (gic_set_type+0x0/0x120)", "warning: irq 26 cannot be triggered as asked: low level", ""},
		"a trigger that differs":      {"trigger-config", "genirq: irq 26 uses trigger mode 4; requested 1", "notice: irq 26 is triggered by high level, though the driver asked for rising edge", ""},
		"a missing interrupt":         {"irq-missing", "sg2044-msi 7ee00000.msi-controller: error -ENXIO: IRQ msi504 not found", "notice: ", "msi504"},
		"a double free":               {"driver-bug", "Trying to free already-free IRQ 29", "notice: ", ""},
		"a bogus return value":        {"driver-bug", "irq event 16: bogus return value fffffff0", "warning: ", "IRQ_NONE"},
		"a remapping fault":           {"interrupt-remapping", "DMAR: [INTR-REMAP] Request device [01:00.0] fault index 0x2f [fault reason 0x26] Blocked an interrupt request due to source-id verification failure", "warning: The IOMMU blocked an interrupt of 01:00.0", "source-id"},
		"no remapping entry left":     {"interrupt-remapping", "DMAR-IR: IR3: can't allocate an IRTE", "warning: ", ""},
		"vector exhaustion":           {"vector-exhaustion", "irq 4: Affinity broken due to vector space exhaustion.", "warning: irq 4 could not be put", "irq:4"},
		"managed without vector":      {"vector-exhaustion", "Managed startup irq 77, no vector available", "warning: ", ""},
		"too few for SR-IOV":          {"msix-shortfall", "ice 0000:3b:00.0: Only 0 MSI-X interrupts available for SR-IOV. Not enough to support minimum of 2 MSI-X interrupts per VF for 1 VFs", "warning: 0000:3b:00.0: no virtual functions", "ethtool -L"},
		"fewer than wanted":           {"msix-shortfall", "i40e 0000:3b:00.0: MSI-X vector limit reached with 33, wanted 65, attempting to redistribute vectors", "notice: 0000:3b:00.0 got 33 of 65", ""},
		"a device that must go":       {"device-held", "vfio-pci 0000:3b:00.0: No device request channel registered, blocked until released by user", "warning: 0000:3b:00.0 is to be taken away", "ivt who pci:0000:3b:00.0"},
		"an unknown NMI":              {"firmware-interrupts", "Uhhuh. NMI received for unknown reason 2d on CPU 0.", "warning: ", ""},
		"a gap in the routing":        {"firmware-interrupts", "pci 0000:09:00.0: can't derive routing for PCI INT B", "notice: ", ""},
		"a GPE without method":        {"gpe-storm", "ACPI Error: No handler or method for GPE 1D, disabling event (20230628/evgpe-839)", "notice: ", ""},
		"a storm that the kernel saw": {"interrupt-storm", "watchdog: CPU#9 Detect HardIRQ Time exceeds 50%. Most frequent HardIRQs:", "serious: CPU 9", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := scene{tree: healthy, before: healthy, log: log("[  100.000000] " + test.line)}
			expect(t, Examine(s.input(t)), test.id, test.want).mentions(t, test.mentions)
			s.log = "[  100.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n"
			expect(t, Examine(s.input(t)), test.id)
		})
	}
}

// A device that works all the same is not a fault of the firmware.
func TestFirmwareFaultsOfWorkingDevicesAreNoAlarm(t *testing.T) {
	for name, line := range map[string]string{
		"it uses MSI":       "nvme 0000:01:00.0: PCI INT A: no GSI",
		"it has an irq":     "pci 0000:00:1f.4: can't derive routing for PCI INT B",
		"it has its driver": "e1000e 0000:00:1f.6: error -ENXIO: IRQ index 1 not found",
	} {
		t.Run(name, func(t *testing.T) { nothing(t, Examine(scene{tree: healthy, log: log("[ 1.0] " + line)}.input(t))) })
	}
}

// Two hundred interrupts that met the same fault are one finding.
func TestManyOfOneKindAreOneFinding(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "irq %d: Affinity broken due to vector space exhaustion.\n", 300+i)
	}
	f := expect(t, Examine(scene{tree: healthy, log: b.String()}.input(t)), "vector-exhaustion", "warning: irq 300 could not be put on the CPUs it was asked for: they are full, and 199 more like it")
	if len(f.Vectors) != 200 || f.Count != 200 || len(f.Evidence) > 12 {
		t.Errorf("%d vectors, count %d, %d pieces of evidence", len(f.Vectors), f.Count, len(f.Evidence))
	}
	expect(t, Examine(scene{tree: healthy, log: log("irq 4: Affinity broken due to vector space exhaustion.", "irq 3: Affinity broken due to vector space exhaustion.")}.input(t)), "vector-exhaustion", "warning: irq 4", "warning: irq 3")
}
