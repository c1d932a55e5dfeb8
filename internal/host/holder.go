package host

import "github.com/ivtd/ivt/irq"

// A Holder is who has an irq: a kernel driver, a process, or somebody who could not be named. Of an
// unknown holder Label says why, and Cure what would reveal it.
type Holder struct {
	irq.Holder
	User string `json:"user,omitempty"` // the name for UID, where the machine's /etc/passwd tells
	Exe  string `json:"exe,omitempty"`  // where readable; never in a saved machine
	Via  string `json:"via,omitempty"`  // how a process has it: "/dev/vfio/12 (fd 7)"
	Cure string `json:"cure,omitempty"`
	// Certain is false where the process has a descriptor of the kind but the kernel does not say of which device.
	Certain bool `json:"certain"`
}
