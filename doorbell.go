package ivt

import (
	"context"

	"github.com/ivtd/ivt/api"
)

// A Doorbell rings one vector from this process, without ivtd being asked each time. It can only ring: it takes
// nothing from the vector's holder. It ends with this process, or when its source leaves. Its methods may be called
// from any goroutine.
type Doorbell struct {
	vector string
	fd     *doorbellFile
}

// OpenDoorbell returns a doorbell of a vector. Errors: irq.ErrNotSupported where the vector has none (a device's),
// irq.ErrAccessDenied, irq.ErrNoSuchDevice, irq.ErrInvalidParameter.
func (c *Client) OpenDoorbell(ctx context.Context, vector string) (*Doorbell, error) {
	var out api.DoorbellOut
	d, err := c.wire.receive(ctx, "Doorbell", api.VectorIn{Vector: vector}, &out, false)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	fd, err := d.Take(out.Doorbell)
	if err != nil {
		return nil, err
	}
	file, err := newDoorbellFile(fd)
	if err != nil {
		return nil, err
	}
	return &Doorbell{vector, file}, nil
}

// Ring rings n times (0: once). It waits while the vector's queue is full. After the doorbell has ended it is
// irq.ErrNotConnected.
func (b *Doorbell) Ring(n uint64) error { return b.fd.ring(b.vector, n) }

// Close gives the doorbell back.
func (b *Doorbell) Close() error { return b.fd.close() }
