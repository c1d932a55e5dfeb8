//go:build linux

package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// lineRefusal explains why the kernel refuses a line.
func (g *gpio) lineRefusal(v irq.Vector, err error) error {
	e := &irq.Error{Operation: "connect", Vector: v, Err: err}
	switch {
	case isErrno(err, syscall.ENODEV):
		g.leave()
		e.Code, e.Reason, e.Detail = irq.ErrNotConnected, irq.ReasonSourceGone, "the chip is gone"
	case isErrno(err, syscall.EBUSY):
		info, asked := kernel.GetGPIOLine(g.chip, v.Index)
		if asked != nil {
			g.busy(e, lineUse{err: asked})
		} else {
			g.busy(e, g.use(v.Index, info))
		}
	case isErrno(err, syscall.ENXIO), isErrno(err, syscall.ENOTSUP), isErrno(err, syscall.EINVAL), isErrno(err, syscall.ENOENT):
		e.Code, e.Detail = irq.ErrNotSupported, "the kernel cannot give edges of this line: the chip may have no interrupt for it, or not the bias that is set"
		e.Remedies = []string{"gpioinfo " + v.Source[len("gpio:"):], "try other settings: bias, edges, debounce"}
	default:
		return fmt.Errorf("request line %s: %w", v, err)
	}
	return e
}

// lineUse is what can be known of a line that the kernel refuses with EBUSY, whoever has it.
type lineUse struct {
	kernel.GPIOLine
	err       error  // why the kernel does not say more
	interrupt bool   // a driver has it as its interrupt, and did not request it
	handler   string // that driver's name for it, "" if it is not to be found
}

// use finds out. A line that is somebody's interrupt is shown in one way by each kernel: Linux 6.1 calls its consumer
// "interrupt", 6.12 says that it is used and has no consumer, as it does of one whose pin has another function, and 7 that it
// is not used at all. In the last case the line can be had as long as no edges are asked for.
func (g *gpio) use(index int, info kernel.GPIOLine) lineUse {
	u := lineUse{GPIOLine: info}
	switch used := u.Flags&kernel.GPIOUsed != 0; {
	case u.Consumer == "interrupt":
		u.interrupt = true
	case u.Consumer != "":
		return u
	case !used:
		fd, err := kernel.RequestGPIO(g.chip, kernel.GPIORequest{Offset: index, Consumer: "ivtd"})
		if err != nil {
			return u
		}
		kernel.Close(fd)
		u.interrupt = true
	}
	u.handler = g.handler(index)
	u.interrupt = u.interrupt || u.handler != ""
	return u
}

// handler returns who has the interrupt of a line, as /proc/interrupts names it. The kernel does not say which GPIO chip an
// interrupt is of, so it is the one with the line's number and the chip's label; where this is the only chip, the only one of an
// irqchip by such a name will do.
func (g *gpio) handler(index int) string {
	read := func(dir, name string) string {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(text))
	}
	interrupts, _ := filepath.Glob(filepath.Join(g.config.Root, "sys/kernel/irq/[0-9]*"))
	var likely []string
	for _, dir := range interrupts {
		chip, handler := read(dir, "chip_name"), read(dir, "actions")
		if handler == "" || read(dir, "hwirq") != strconv.Itoa(index) {
			continue
		}
		if chip == g.label {
			return handler
		}
		if name := strings.ToLower(chip); strings.Contains(name, "gpio") || strings.Contains(name, "pin") {
			likely = append(likely, handler)
		}
	}
	chips, _ := filepath.Glob(filepath.Join(g.config.Root, "sys/bus/gpio/devices/gpiochip*"))
	if len(likely) == 1 && len(chips) == 1 {
		return likely[0]
	}
	return ""
}

// busy tells apart who has a line: the kernel answers EBUSY to all.
func (g *gpio) busy(e *irq.Error, u lineUse) {
	h := irq.Holder{Kind: irq.HolderUnknown, Device: u.Name}
	e.Code, e.Reason = irq.ErrAlreadyConnected, irq.ReasonForeignHolds
	pins := []string{"cat /sys/kernel/debug/pinctrl/*/pinmux-pins", "change the pin's function in the device tree"}
	switch {
	case u.err != nil:
		h.Label = "the kernel does not say who: " + u.err.Error()
		e.Detail = "the line is in use"
	case u.interrupt:
		h.Kind, h.Driver = irq.HolderKernel, "interrupt"
		if u.handler != "" {
			h.Driver = u.handler
		}
		e.Reason, e.Detail = irq.ReasonKernelHolds, "a driver of the kernel uses the line as its interrupt (irqchip)"
		e.Remedies = []string{"ivt who " + e.Vector.String(), "grep -i gpio /proc/interrupts"}
	case u.Consumer != "":
		h.Label = "consumer " + fmt.Sprintf("%q", u.Consumer) + "; the kernel keeps no pid"
		e.Detail = "the line is requested by " + fmt.Sprintf("%q", u.Consumer)
		e.Remedies = []string{"ivt who " + e.Vector.String(), "a hog of the device tree keeps its line as long as the chip is there"}
	case u.Flags&kernel.GPIOUsed != 0:
		h.Kind, h.Label = irq.HolderKernel, "the line has no consumer: its pin is in use for another function, or is a driver's interrupt, or not for use"
		e.Reason, e.Detail = irq.ReasonKernelHolds, "nobody has requested the line, and the kernel does not give it: the pin controller keeps the pin for another function, or an irqchip for a driver"
		e.Remedies = append(pins, "cat /proc/interrupts")
	default:
		h.Kind, h.Driver = irq.HolderKernel, "pinctrl"
		e.Reason, e.Detail = irq.ReasonKernelHolds, "nobody has requested the line: the pin controller keeps the pin for another function"
		e.Remedies = pins
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
