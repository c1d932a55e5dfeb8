//go:build !linux

package ivt

import "github.com/ivtd/ivt/irq"

// Without ivtd there is no connection, so none of this is ever called.

func (c *Connection) open() error  { return over(c.id, irq.ReasonClosed, "ivtd runs on Linux only") }
func (c *Connection) closeFiles()  {}
func (c *Connection) hungUp() bool { return true }
