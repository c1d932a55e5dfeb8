// Package api is the interface io.ivtd.interrupts in Go: its text, the shapes of its calls and replies,
// and how the errors and holders of package irq travel in them. The text is the source of truth; a test
// holds the shapes to it.
package api

import _ "embed"

// Name is the name of the interface.
const Name = "io.ivtd.interrupts"

// Text is the interface's description, what GetInterfaceDescription returns.
//
//go:embed io.ivtd.interrupts.varlink
var Text string

// MaxDescriptors is how many descriptors one message carries (SCM_MAX_FD, unix(7)).
const MaxDescriptors = 253
