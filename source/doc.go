// Package source has what raises interrupts: doorbells in software, and devices by VFIO, UIO and GPIO.
//
// A [Scheme] ("soft", "pci", "uio", "gpio") is one file that registers itself with [Register]. It finds
// devices, opens those that the policy names, and wires their vectors to the holders that the registry
// (package irq) has granted them to. Rules are not here: they are in package irq.
//
// # How to add a source
//
// Write one file with two types; nothing else changes, in this tree or in a module of your own that imports
// this package (testdata/toy is one, and a test runs it).
//
//   - A [Scheme]: Name is what stands before the colon in names; Discover lists what exists and opens
//     nothing; Open takes one device. Call [Register] from init. With [Checker] its settings can be judged
//     before anything is opened.
//   - A [Source], which is also the irq.Wiring of its vectors. Spec says what vectors there are and which
//     of them can be shared or masked. Attached gives it the lines to raise. Wire makes interrupts reach one
//     claim, Unwire returns when nothing reaches it any more (rule 5), in the order that loses nothing: cut
//     what the former holder has, re-point, unmask. The registry rings afterwards (rule 9).
//
// If the kernel can signal a descriptor of the holder's own (VFIO), Wire makes it do so and returns no
// handler: ivtd is not in the way of interrupts. If one process only may read the device (UIO, GPIO), the
// source reads it and calls irq.Line.RaiseInterrupt, and its Wire is that of [Streams]: a socket for each
// claim, with records, counts and acknowledgements. What it reads it must not wait for.
//
// What must outlive a restart goes to Config.Keep; Adopt takes it over and re-issues nothing (rule 14). A
// device that leaves closes Gone, and every claim ends with 1167 (rule 12). Every "no" is an irq.Error with
// code, reason and remedy (rule 4).
package source
