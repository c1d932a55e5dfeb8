//go:build linux

package source

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// A gpioLine is a line that is requested from the kernel, as a port of the relay.
type gpioLine struct {
	chip   *gpio
	line   *irq.Line
	name   string // its key in the Keep
	claims int    // guarded by the chip's lock

	mu   sync.Mutex
	fd   int
	key  uint64
	last *atomic.Uint64 // number of the latest edge that was passed on; 0: none yet
}

func lineKey(index int) string { return fmt.Sprintf("line/%d", index) }

// request asks the kernel for the line of a claim, unless it says that the line is not to be had. Asking all the same is not
// harmless: there are chips whose driver stops the interrupt of a line that is asked for and refused (pinctrl-baytrail.c), and
// Linux 6.1 forgets whose it was.
func (g *gpio) request(c irq.Claim) (*gpioLine, error) {
	if info, err := kernel.GetGPIOLine(g.chip, c.Vector.Index); err == nil && info.Flags&kernel.GPIOUsed != 0 {
		e := &irq.Error{Operation: "connect", Vector: c.Vector, Err: syscall.EBUSY}
		g.busy(e, g.use(c.Vector.Index, info))
		return nil, e
	}
	fd, err := kernel.RequestGPIO(g.chip, kernel.GPIORequest{Offset: c.Vector.Index, Consumer: consumer(c.Holder), Flags: g.settings.flags,
		Debounce: uint32(g.settings.debounce.Microseconds()), Events: g.settings.ring})
	if err != nil {
		return nil, g.lineRefusal(c.Vector, err)
	}
	name := lineKey(c.Vector.Index)
	if err := g.config.Keep.Put(name, nil, fd); err != nil {
		kernel.Close(fd)
		return nil, fmt.Errorf("keep the line of %s: %w", c.Vector, err)
	}
	last := counterOf(g.config.Keep, name)
	last.Store(0)
	return g.read(c, name, fd, last)
}

// adoptLine takes the line over. What the kernel dropped meanwhile shows as a gap.
func (g *gpio) adoptLine(c irq.Claim) (*gpioLine, error) {
	name := lineKey(c.Vector.Index)
	kept, ok := g.streams.take(name)
	if !ok || len(kept.FDs) != 1 {
		closeAll(kept.FDs)
		return nil, notKept(c)
	}
	last := counterOf(g.config.Keep, name)
	last.Store(kept.Count)
	return g.read(c, name, kept.FDs[0], last)
}

func (g *gpio) read(c irq.Claim, name string, fd int, last *atomic.Uint64) (*gpioLine, error) {
	l := &gpioLine{chip: g, line: c.Line, name: name, fd: fd, last: last}
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.key, err = g.streams.relay.add(fd, kernel.EventIn, l); err != nil {
		kernel.Close(fd)
		g.config.Keep.Drop(name)
		return nil, fmt.Errorf("read the edges of %s: %w", c.Vector, err)
	}
	return l, nil
}

// ready passes one turn's edges on, each with its own time.
func (l *gpioLine) ready(*kernel.Batch, uint32) {
	var edges [batchLimit]irq.Interrupt
	n, err := l.edges(&edges)
	for _, i := range edges[:n] {
		l.line.RaiseInterrupt(i)
	}
	if err != nil && !isErrno(err, syscall.EAGAIN) {
		l.chip.leave() // ENODEV: the chip is gone
	}
}

// edges reads what the kernel has for us.
func (l *gpioLine) edges(edges *[batchLimit]irq.Interrupt) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return 0, nil
	}
	var b [batchLimit * 48]byte // struct gpio_v2_line_event
	n, err := kernel.Read(l.fd, b[:])
	if err != nil {
		if !isErrno(err, syscall.EAGAIN) {
			l.deafen()
		}
		return 0, err
	}
	var events [batchLimit]kernel.GPIOEvent
	read := kernel.DecodeGPIOEvents(events[:0], b[:n])
	for i, e := range read {
		edges[i] = irq.Interrupt{Count: 1, Time: int64(e.Time), Data: uint64(e.Edge), Lost: l.missed(e.Sequence)}
	}
	return len(read), nil
}

// missed returns how many edges the kernel dropped before the one with that number: the ring was full. Numbers
// start at 1 and wrap at 32 bits.
func (l *gpioLine) missed(number uint32) uint64 {
	before := uint32(l.last.Swap(uint64(number)))
	return uint64(number - before - 1)
}

// deafen takes the line out of the relay.
func (l *gpioLine) deafen() {
	if l.key != 0 {
		l.chip.streams.relay.remove(l.fd, l.key)
		l.key = 0
	}
}

// close gives the line back to the kernel.
func (l *gpioLine) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deafen()
	kernel.Close(l.fd)
	l.fd = -1
	l.chip.config.Keep.Drop(l.name)
}
