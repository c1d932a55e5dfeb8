// Package host shows the interrupts of a Linux machine as the kernel and others hold them. It only reads.
//
// A machine is a [Root]: the live one, a directory with copies of its /proc and /sys, or one file made by
// [Root.Save]. [Root.Read] gives the whole picture as a [Machine], [Root.Who] answers who holds one
// thing, [Diff] and [Rates] compare two pictures. Each reads as few files as the question needs; what
// could not be read is in [Machine.Blind] with the reason and what would reveal it, and is never guessed.
//
// The formats are those of Linux 4.9 to 7.x: kernel/irq/proc.c, kernel/irq/irqdesc.c, arch/*/kernel/irq.c,
// drivers/pci/msi, drivers/acpi/sysfs.c. Package host/interrupts parses /proc/interrupts and /proc/softirqs.
package host
