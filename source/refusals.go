package source

import "github.com/ivtd/ivt/irq"

// noDoorbell: a device rings itself.
func noDoorbell(v irq.Vector) error {
	return &irq.Error{Code: irq.ErrNotSupported, Operation: "get a doorbell", Vector: v,
		Detail: "the device raises this vector; there is no doorbell", Remedies: []string{"ivt raise " + v.String() + " tests a pci vector through the kernel"}}
}

func noSelfTest(v irq.Vector) error {
	return &irq.Error{Code: irq.ErrNotSupported, Operation: "raise", Vector: v,
		Detail: "the kernel cannot raise this vector for a test; its device must"}
}

// streamOnly refuses a device grant where a descriptor of the device cannot be taken back, so that there are streams only.
func streamOnly(c irq.Claim) error {
	if c.Access != irq.AccessDevice {
		return nil
	}
	return &irq.Error{Code: irq.ErrNotSupported, Operation: "connect", Vector: c.Vector,
		Detail: "its descriptor cannot be shared out and taken back; only its interrupts can be had", Remedies: []string{"--access irq"}}
}
