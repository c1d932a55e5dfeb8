package host

import (
	"context"
	"errors"
	"io"

	"github.com/ivtd/ivt/irq"
)

var errTodo = errors.New("not written yet")

func (g *reading) processes() {}

// IRQ reads one irq with the given parts. One that the kernel does not have is irq.ErrNoSuchDevice.
func (r *Root) IRQ(ctx context.Context, number int, parts Parts) (*IRQ, error) { return nil, errTodo }

// IRQHolder returns who holds one irq, for a refusal: the processes behind VFIO, UIO or GPIO, otherwise
// the kernel driver. It is empty if nobody requested the irq; irq.ErrNoSuchDevice if the kernel has no such irq.
func (r *Root) IRQHolder(ctx context.Context, number int) ([]irq.Holder, error) { return nil, errTodo }

// Save writes the machine as a gzipped tar that Open reads. See save.go for what is in it and what is left out.
func (r *Root) Save(ctx context.Context, w io.Writer) error { return errTodo }
