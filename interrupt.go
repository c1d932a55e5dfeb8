package ivt

import "github.com/ivtd/ivt/irq"

// An Interrupt is one delivery to this connection. On a stream it comes from ivtd, whole; an eventfd has a
// count only, and the other members are made here.
type Interrupt struct {
	irq.Interrupt
	Vector  irq.Vector
	Arrived uint64 // all that this connection was told of on this vector, with this delivery
	Level   bool   // the line stays masked until it is acknowledged: by Handle's verdict, or Connection.Ack
}
