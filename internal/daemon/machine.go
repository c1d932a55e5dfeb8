package daemon

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// HostOf makes a Host of the machine.
func HostOf(root *host.Root) Host { return machine{root} }

type machine struct{ root *host.Root }

// Holders asks the machine about the vectors that it may know: all but doorbells.
func (m machine) Holders(ctx context.Context, v irq.Vector) (holders []irq.Holder, remedies []string, known bool, err error) {
	if v.Scheme() == "soft" {
		return nil, nil, false, nil
	}
	answer, err := m.root.Who(ctx, v.String())
	if errors.Is(err, irq.ErrNoSuchDevice) || errors.Is(err, irq.ErrInvalidParameter) {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	for _, h := range answer.Holders {
		holders = append(holders, h.Holder)
	}
	return holders, answer.Remedies, true, nil
}
