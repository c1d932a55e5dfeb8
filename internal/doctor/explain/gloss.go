package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// glosses say what a field's value means, by the field's name. "" if there is nothing to add.
var glosses = map[string]func(value string) string{
	"new_flags":  func(s string) string { return FlagNames(parseFlags(s)) },
	"old_flags":  func(s string) string { return FlagNames(parseFlags(s)) },
	"mode":       glossTrigger,
	"requested":  glossTrigger,
	"errno":      glossErrno,
	"vector":     func(s string) string { return glossVector(s, 10) },
	"vector_hex": func(s string) string { return glossVector(strings.TrimPrefix(s, "0x"), 16) },
	"other_hex":  func(s string) string { return glossVector(strings.TrimPrefix(s, "0x"), 16) },
	"reason":     glossFault,
	"reason_hex": glossNMI,
	"value":      glossReturn,
}

func gloss(name, value string) string {
	if f := glosses[baseName(name)]; f != nil {
		return f(value)
	}
	return ""
}

func glossTrigger(s string) string {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return ""
	}
	return triggerName(uint32(n))
}

// glossErrno names an errno: "-16" is EBUSY, "-EBUSY" is device or resource busy.
func glossErrno(s string) string {
	for _, c := range Codes() {
		if c.Kind != "errno" {
			continue
		}
		if s == "-"+strconv.FormatUint(uint64(c.Number), 10) {
			return c.Name + ", " + strings.ToLower(c.Text)
		}
		if s == "-"+c.Name {
			return strings.ToLower(c.Text)
		}
	}
	return ""
}

// systemVectors are the vectors that x86 keeps for itself (arch/x86/include/asm/irq_vectors.h).
var systemVectors = map[uint64]string{
	0x80: "the 32-bit system call", 0xeb: "posted MSI, or the first system vector", 0xec: "the local APIC timer", 0xed: "Hyper-V timer", 0xee: "Hyper-V reenlightenment",
	0xef: "managed interrupts that are shut down", 0xf0: "KVM nested posted interrupt", 0xf1: "KVM posted wake-up", 0xf2: "KVM posted interrupt",
	0xf3: "hypervisor callback", 0xf4: "deferred machine check", 0xf5: "performance counters of a guest", 0xf6: "irq work",
	0xf7: "platform IPI", 0xf8: "reboot", 0xf9: "machine check threshold", 0xfa: "thermal", 0xfb: "function call for one CPU", 0xfc: "function call",
	0xfd: "rescheduling", 0xfe: "APIC error", 0xff: "the APIC's spurious vector",
}

// glossVector says what an x86 vector is for: legacy irqs are at 0x30 to 0x3f since 2.6.2x.
func glossVector(s string, base int) string {
	v, err := strconv.ParseUint(s, base, 16)
	if err != nil {
		return ""
	}
	hex := ""
	if base == 10 {
		hex = fmt.Sprintf("0x%02x, ", v)
	}
	name, system := systemVectors[v]
	switch {
	case v < 0x20:
		return hex + "an exception of the CPU"
	case v >= 0x30 && v <= 0x3f:
		return fmt.Sprintf("%sthe place of legacy IRQ %d", hex, v-0x30)
	case system:
		return hex + name
	case v > 0xff:
		return hex + "not a vector of x86"
	}
	return hex + "a device vector"
}

// remapFaults are the reasons of interrupt remapping faults from 0x20 (drivers/iommu/intel/dmar.c).
var remapFaults = []string{
	"reserved fields set in the request", "index beyond the table", "the entry is not present", "the table could not be read",
	"reserved fields set in the entry", "a message in the old format, blocked", "source-id verification failed: not the device that the entry is for",
}

func glossFault(s string) string {
	n, err := strconv.ParseUint(s, 16, 8)
	if err != nil || n < 0x20 || n-0x20 >= uint64(len(remapFaults)) {
		return ""
	}
	return remapFaults[n-0x20]
}

// glossNMI reads port 0x61 as the kernel does: bit 7 is SERR, bit 6 IOCHK.
func glossNMI(s string) string {
	n, err := strconv.ParseUint(s, 16, 8)
	switch {
	case err != nil:
		return ""
	case n&0x80 != 0:
		return "memory or system error (SERR)"
	case n&0x40 != 0:
		return "error of an I/O device (IOCHK)"
	}
	return "no error source set"
}

// glossReturn reads a handler's return value, which is often a negative errno.
func glossReturn(s string) string {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return ""
	}
	if v := int32(uint32(n)); v < 0 && v > -4096 {
		if name := glossErrno(strconv.Itoa(int(v))); name != "" {
			return fmt.Sprintf("%d, %s", v, name)
		}
		return strconv.Itoa(int(v))
	}
	return ""
}
