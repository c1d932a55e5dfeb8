// Package vectormap reads which CPU vector belongs to which interrupt on an x86-64 machine, and how full each CPU is.
//
// The kernel gives each CPU 256 vectors and hands about 200 of them to devices (arch/x86/kernel/apic/vector.c,
// kernel/irq/matrix.c). When a CPU has none left, a driver gets fewer queues and a write to smp_affinity fails with
// ENOSPC; stock kernels show this table nowhere. [Read] tries, in this order:
//
//   - [MethodDebugfs]: /sys/kernel/debug/irq, where the kernel was built with CONFIG_GENERIC_IRQ_DEBUGFS;
//   - [MethodKcore]: the kernel's memory through /proc/kcore, laid out by the kernel's own type information (BTF);
//   - [MethodBPF]: the same memory through a BPF program that is run once for each read and never attached; on a kernel
//     whose symbol table has no variables it finds the tables without, and the allocator's numbers stay unknown;
//   - [MethodInference]: counting effective affinities, which knows no vector and no limit.
//
// The result names its method and what it could not see, with the reason and what would reveal it. Nothing is written
// anywhere, and reads of memory cannot fault: both paths copy with the kernel's non-faulting primitives.
//
// A kernel keeps changing the table while it is read. A map from memory is therefore taken by a protocol: sweep the
// counters and rows of all CPUs, resolve every entry, sweep again, accept if both sweeps are equal byte for byte and the
// kernel's own arithmetic holds, else resolve everything again. What does not come to rest is reported as unstable and
// never guessed.
package vectormap
