// Package affinity says on which CPUs an irq may be handled and on which it is, and changes the former.
//
// It writes /proc/irq/N/smp_affinity_list with the rights of the caller and looks afterwards what came of it: the kernel
// may accept a list and move the interrupt only when it next arrives. A refusal says which of the kernel's reasons it was.
// Managed irqs, which the kernel places itself (EIO until 6.11, EPERM since), are told apart from missing rights
// (EACCES), and "no space left on device" names the CPUs that have no vector left.
package affinity
