//go:build !linux

package ivt

import "github.com/ivtd/ivt/irq"

func (c *Connection) copies(int) ([]handed, []int, error) {
	return nil, nil, over(c.id, irq.ReasonClosed, "ivtd runs on Linux only")
}

// Exec works on Linux only.
func (c *Connection) Exec(argv, environ []string) error {
	return over(c.id, irq.ReasonClosed, "ivtd runs on Linux only")
}

// Inherited works on Linux only: there is nothing to inherit.
func Inherited(...Option) (*Connection, error) { return nil, nil }
