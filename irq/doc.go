// Package irq is the interrupt vector table: who holds which vector, and who may.
//
// A [Registry] knows sources (a device, a group of doorbells), each with its vectors. [Registry.Connect]
// claims one or more of them. The claim is exclusive by default: whoever comes second is refused with
// [ErrAlreadyConnected] (763), nothing of the first is disturbed, and the error names the holder.
// [Line.Raise] delivers to the holder's [Handler] without a lock and without allocating.
//
// The package has the rules and no I/O: it imports the standard library only and runs on every system.
// An emulator, a VMM or a simulator uses it as it is. The daemon ivtd uses the same registry with a
// [Wiring] for each source, which turns a granted claim into descriptors.
//
// The numbers of the rules in comments and tests are those of ARCHITECTURE.md.
package irq
