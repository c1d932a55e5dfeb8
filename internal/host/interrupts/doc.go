// Package interrupts parses /proc/interrupts and /proc/softirqs in one pass over the bytes.
//
// A [Scanner] gives row by row and allocates nothing per row; [Read] collects a [Table]. The formats are
// those of Linux 4.9 to 7.x on every architecture (kernel/irq/proc.c, arch/*/kernel/irq.c): rows may be
// short, labels may be glued to counts and occur twice, the columns are the CPUs that were online.
package interrupts
