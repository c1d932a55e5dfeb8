package irqtest

import (
	"sync"

	"github.com/ivtd/ivt/irq"
)

// Late is a driver that acknowledges late: its Handler keeps every interrupt until the test lets it go.
type Late struct {
	mu   sync.Mutex
	owed []irq.Interrupt
}

// Handler keeps the interrupt and returns irq.Pending.
func (l *Late) Handler(i irq.Interrupt) irq.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed = append(l.owed, i)
	return irq.Pending
}

// Owed returns the interrupts that have not been acknowledged, oldest first.
func (l *Late) Owed() []irq.Interrupt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]irq.Interrupt(nil), l.owed...)
}

// Acknowledge acknowledges all that is owed to the connection, handled or not, and returns the first error.
func (l *Late) Acknowledge(c *irq.Connection, handled bool) error {
	l.mu.Lock()
	owed := l.owed
	l.owed = nil
	l.mu.Unlock()
	for _, i := range owed {
		if err := c.Ack(c.Generation(), i.Slot, i.Sequence, handled); err != nil {
			return err
		}
	}
	return nil
}
