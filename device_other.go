//go:build !linux

package ivt

import "github.com/ivtd/ivt/irq"

// Without ivtd there is no device, so none of this is ever called.

func (c *Connection) closeDevice() {}

func mapBAR(int, int) ([]byte, error)            { return nil, irq.ErrNotSupported }
func configSpace(int, []byte, int64, bool) error { return irq.ErrNotSupported }
func resetDevice(int) error                      { return irq.ErrNotSupported }
func mapDMA(int, []byte, uint64) error           { return irq.ErrNotSupported }
func unmapDMA(int, uint64, uint64) error         { return irq.ErrNotSupported }

func load32(Registers, int) uint32   { return 0 }
func load64(Registers, int) uint64   { return 0 }
func store32(Registers, int, uint32) {}
func store64(Registers, int, uint64) {}
