package picture

import (
	"iter"

	"github.com/ivtd/ivt/irq"
)

// Join adds vectors that ivtd hands out, by a list that need not come over its socket.
func (p *Picture) Join(vectors iter.Seq[irq.Info]) {
	index := p.names()
	for v := range vectors {
		p.join(index, fromInfo(&v))
	}
}
