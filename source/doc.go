// Package source has what raises interrupts: doorbells in software, and devices by VFIO, UIO and GPIO.
//
// A scheme ("soft", "pci", "uio", "gpio") is one file that registers itself with [Register]. It finds
// devices, opens those that the policy names, and wires their vectors to the holders that the registry
// (package irq) has granted them to. Rules are not here: they are in package irq.
package source
