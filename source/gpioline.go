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

// request asks the kernel for the line of a claim.
func (g *gpio) request(c irq.Claim) (*gpioLine, error) {
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

// lineRefusal explains why the kernel refuses a line.
func (g *gpio) lineRefusal(v irq.Vector, err error) error {
	info, asked := kernel.GetGPIOLine(g.chip, v.Index)
	e := &irq.Error{Operation: "connect", Vector: v, Err: err}
	switch {
	case isErrno(err, syscall.ENODEV):
		g.leave()
		e.Code, e.Reason, e.Detail = irq.ErrNotConnected, irq.ReasonSourceGone, "the chip is gone"
	case isErrno(err, syscall.EBUSY):
		g.busy(e, info, asked)
	case isErrno(err, syscall.ENXIO), isErrno(err, syscall.ENOTSUP), isErrno(err, syscall.EINVAL), isErrno(err, syscall.ENOENT):
		e.Code, e.Detail = irq.ErrNotSupported, "the kernel cannot give edges of this line: the chip may have no interrupt for it, or not the bias that is set"
		e.Remedies = []string{"gpioinfo " + v.Source[len("gpio:"):], "try other settings: bias, edges, debounce"}
	default:
		return fmt.Errorf("request line %s: %w", v, err)
	}
	return e
}

// busy tells a line that somebody has from one that the pin controller or an irqchip keeps: the kernel answers EBUSY to all.
func (g *gpio) busy(e *irq.Error, info kernel.GPIOLine, asked error) {
	h := irq.Holder{Kind: irq.HolderUnknown, Device: info.Name}
	e.Code, e.Reason = irq.ErrAlreadyConnected, irq.ReasonForeignHolds
	switch {
	case asked != nil:
		h.Label = "the kernel does not say who: " + asked.Error()
		e.Detail = "the line is in use"
	case info.Consumer == "interrupt":
		h.Kind, h.Driver = irq.HolderKernel, "interrupt"
		e.Reason, e.Detail = irq.ReasonKernelHolds, "a driver of the kernel uses the line as its interrupt (irqchip)"
		e.Remedies = []string{"grep -i gpio /proc/interrupts"}
	case info.Consumer == "":
		h.Kind, h.Driver = irq.HolderKernel, "pinctrl"
		e.Reason, e.Detail = irq.ReasonKernelHolds, "nobody has requested the line: the pin controller keeps the pin for another function"
		e.Remedies = []string{"cat /sys/kernel/debug/pinctrl/*/pinmux-pins", "change the pin's function in the device tree"}
	default:
		h.Label = "consumer " + fmt.Sprintf("%q", info.Consumer) + "; the kernel keeps no pid"
		e.Detail = "the line is requested by " + fmt.Sprintf("%q", info.Consumer)
		e.Remedies = []string{"ivt who " + e.Vector.String(), "a hog of the device tree keeps its line as long as the chip is there"}
	}
	holders := []irq.Holder{h}
	if h.Kind == irq.HolderUnknown {
		holders = append(holders, candidates(g.config.Foreign(g.path()), g.path())...)
	}
	e.Conflicts = []irq.Conflict{{Vector: e.Vector, Reason: e.Reason, Holders: holders}}
}

// candidates are the processes that may have the line, because they have the chip open.
func candidates(all []irq.Holder, path string) (some []irq.Holder) {
	for _, h := range all {
		if h.Kind == irq.HolderProcess {
			h.Label = "has " + path + " open"
			some = append(some, h)
		}
	}
	return some
}
