package main

import (
	"context"
	"fmt"
	"syscall"

	"github.com/ivtd/ivt"
)

// The registers of BAR 0.
const (
	identification = 0x00
	factorial      = 0x08
	status         = 0x20
	raised         = 0x24 // which interrupts are
	acknowledge    = 0x64
	dmaSource      = 0x80
	dmaDestination = 0x88
	dmaCount       = 0x90
	dmaCommand     = 0x98

	interruptWhenComputed = 0x80 // in status
	computed              = 0x01 // in raised
	transferred           = 0x100

	dmaStart     = 1
	dmaToMemory  = 2
	dmaInterrupt = 4

	buffer = 0x40000 // the device's own memory, as DMA addresses it
	iova   = 0x10000 // where we put ours; the device reaches 256 MiB
)

// edu is the device.
type edu struct {
	connection *ivt.Connection
	registers  ivt.Registers
	memory     []byte // seen by the device at iova
}

// start makes the device ready.
func start(c *ivt.Connection) (*edu, error) {
	device, err := c.Device()
	if err != nil {
		return nil, err
	}
	if err := device.Enable(); err != nil {
		return nil, err
	}
	registers, err := device.Registers(0)
	if err != nil {
		return nil, err
	}
	if id := registers.Load32(identification); id&0xff != 0xed {
		return nil, fmt.Errorf("this is no edu: its identification is %#x", id)
	}
	memory, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	if err := device.MapDMA(memory, iova); err != nil {
		return nil, err
	}
	return &edu{c, registers, memory}, nil
}

// factorial computes n! modulo 2^32.
func (e *edu) factorial(ctx context.Context, n uint32) (uint32, error) {
	e.registers.Store32(status, interruptWhenComputed)
	e.registers.Store32(factorial, n)
	err := e.await(ctx, computed)
	return e.registers.Load32(factorial), err
}

// echo has the device fetch a text from memory, and bring it back to another place.
func (e *edu) echo(ctx context.Context, text string) (string, error) {
	const there, back = 0, 2048
	n := copy(e.memory[there:back], text)
	if err := e.transfer(ctx, iova+there, buffer, n, dmaStart|dmaInterrupt); err != nil {
		return "", err
	}
	if err := e.transfer(ctx, buffer, iova+back, n, dmaStart|dmaInterrupt|dmaToMemory); err != nil {
		return "", err
	}
	return string(e.memory[back : back+n]), nil
}

func (e *edu) transfer(ctx context.Context, from, to uint64, n int, command uint32) error {
	e.registers.Store64(dmaSource, from)
	e.registers.Store64(dmaDestination, to)
	e.registers.Store64(dmaCount, uint64(n))
	e.registers.Store32(dmaCommand, command)
	return e.await(ctx, transferred)
}

// await waits until the device has raised that interrupt, and acknowledges: at the device, so that it lowers its line, then
// at the kernel, which has masked the line meanwhile (with MSI there is nothing to unmask). An interrupt may come for
// nothing, when ivt rings in doubt; none that is needed stays away.
func (e *edu) await(ctx context.Context, cause uint32) error {
	for {
		i, err := e.connection.Wait(ctx)
		if err != nil {
			return err
		}
		now := e.registers.Load32(raised)
		e.registers.Store32(acknowledge, now)
		if err := e.connection.Ack(i, true); err != nil {
			return err
		}
		if now&cause != 0 {
			return nil
		}
	}
}
