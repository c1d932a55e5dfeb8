//go:build linux

package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

func init() { Register(gpioScheme{}) }

// gpioScheme makes sources of GPIO chips (linux/gpio.h, version 2): each line is a vector, and its edges are
// records with the kernel's own time and, as data, 1 for rising and 2 for falling. A line is requested from the kernel
// while somebody is connected to it.
//
// Settings: edges (both, rising or falling), bias (as it is; pull-up, pull-down or disabled), active_low, debounce (a time,
// at most 4s), ring (edges that the kernel holds for a line, 16 to 1024, default 256), shareable (default true).
type gpioScheme struct{}

func (gpioScheme) Name() string { return "gpio" }

const gpioDevices = "sys/bus/gpio/devices"

// Discover lists every GPIO chip. Its label is known to those who may open it.
func (gpioScheme) Discover(context.Context) (found []Found, err error) {
	entries, err := os.ReadDir(filepath.Join("/", gpioDevices))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list GPIO chips: %w", err)
	}
	for _, e := range entries {
		path, err := filepath.EvalSymlinks(filepath.Join("/", gpioDevices, e.Name()))
		if err == nil && strings.HasPrefix(e.Name(), "gpiochip") {
			found = append(found, describeChip(e.Name(), path))
		}
	}
	return found, nil
}

func describeChip(name, path string) Found {
	f := Found{Name: "gpio:" + name, Path: path, Attrs: map[string]string{"chip": name}}
	fd, err := kernel.OpenDevice(filepath.Join("/dev", name), 0)
	if err != nil {
		f.Note = "/dev/" + name + ": " + err.Error()
		return f
	}
	defer kernel.Close(fd)
	if chip, err := kernel.GetGPIOChip(fd); err == nil {
		f.Attrs["label"] = chip.Label
	}
	return f
}

// gpioSettings are how lines are requested.
type gpioSettings struct {
	flags     uint64
	debounce  time.Duration
	ring      int
	shareable bool
}

// The bounds of a line's ring. The kernel rounds up to a power of two.
const (
	leastRing   = 16
	defaultRing = 256
)

func readGPIOSettings(c Config) (gpioSettings, error) {
	s := c.read()
	g := gpioSettings{flags: kernel.GPIOInput}
	g.flags |= map[string]uint64{"both": kernel.GPIORising | kernel.GPIOFalling, "rising": kernel.GPIORising, "falling": kernel.GPIOFalling}[s.word("edges", "both", "rising", "falling")]
	g.flags |= map[string]uint64{"pull-up": kernel.GPIOPullUp, "pull-down": kernel.GPIOPullDown, "disabled": kernel.GPIOBiasDisabled}[s.word("bias", "", "pull-up", "pull-down", "disabled")]
	if s.bool("active_low", false) {
		g.flags |= kernel.GPIOActiveLow
	}
	g.debounce = s.duration("debounce", 4*time.Second)
	g.ring = s.int("ring", defaultRing, leastRing, kernel.GPIOMaxEvents)
	g.shareable = s.bool("shareable", true)
	return g, s.err()
}

// Check reads the settings.
func (gpioScheme) Check(c Config) error {
	_, err := readGPIOSettings(c)
	return err
}

// gpio is one chip.
type gpio struct {
	config   Config
	settings gpioSettings
	spec     irq.SourceSpec
	streams  *Streams
	source   *irq.Source
	chip     int
	label    string // of the chip
	gone     chan struct{}
	once     sync.Once

	mu    sync.Mutex
	lines map[int]*gpioLine
}

// Open opens a chip. Lines that a former process had requested are taken over as their claims are adopted.
func (gpioScheme) Open(_ context.Context, c Config) (Source, error) {
	settings, err := readGPIOSettings(c)
	if err != nil {
		return nil, err
	}
	c = c.complete()
	g := &gpio{config: c, settings: settings, gone: make(chan struct{}), lines: map[int]*gpioLine{}}
	if g.chip, err = kernel.OpenDevice(g.path(), 0); err != nil {
		return nil, g.openRefusal(err)
	}
	chip, err := kernel.GetGPIOChip(g.chip)
	if err == nil {
		g.streams, err = NewStreams(c)
	}
	if err != nil {
		kernel.Close(g.chip)
		return nil, fmt.Errorf("open %s: %w", c.Name, err)
	}
	instance, err := g.streams.instance(c, fmt.Sprintf("%s %d", chip.Label, chip.Lines))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep the instance of %s: %w", c.Name, err), g.Close())
	}
	g.label = chip.Label
	g.spec = irq.SourceSpec{Name: c.Name, Instance: instance, Wiring: g, Protection: "kernel",
		Groups: []irq.Group{{Count: chip.Lines, Trigger: irq.TriggerEdge, Shareable: settings.shareable, Maskable: true, Delivery: irq.DeliveryStream}}}
	return g, nil
}

func (g *gpio) path() string {
	_, name, _ := strings.Cut(g.config.Name, ":")
	if n, ok := strings.CutPrefix(name, "gpiochip"); !ok || strings.Trim(n, "0123456789") != "" {
		return filepath.Join(g.config.Root, "dev", "gpiochip-") // there is none such
	}
	return filepath.Join(g.config.Root, "dev", name)
}

func (g *gpio) openRefusal(err error) error {
	e := &irq.Error{Code: irq.ErrAccessDenied, Operation: "open", Name: g.config.Name, Reason: irq.ReasonDenied, Err: err,
		Detail: "the file permissions of " + g.path() + " do not allow it", Remedies: []string{"run ivtd as root", "usermod -aG gpio USER, where the distribution has such a group", "ls -l " + g.path()}}
	switch {
	case isErrno(err, syscall.ENOENT), isErrno(err, syscall.ENXIO), isErrno(err, syscall.ENODEV):
		e.Code, e.Reason, e.Detail, e.Remedies = irq.ErrNoSuchDevice, irq.ReasonNoSuchSource, "there is no such GPIO chip", []string{"ls /dev/gpiochip*"}
	case !isErrno(err, syscall.EACCES) && !isErrno(err, syscall.EPERM):
		return fmt.Errorf("open %s: %w", g.path(), err)
	}
	return e
}

func (g *gpio) Spec() irq.SourceSpec           { return g.spec }
func (g *gpio) Attached(source *irq.Source)    { g.source = source }
func (g *gpio) Gone() <-chan struct{}          { return g.gone }
func (g *gpio) leave()                         { g.once.Do(func() { close(g.gone) }) }
func (g *gpio) SetMask(irq.Vector, bool) error { return nil } // the line holds back what is masked
func (g *gpio) Ring(irq.Vector) error          { return nil } // the registry runs the handler

// Wire gives the claim a stream; the first one requests the line from the kernel.
func (g *gpio) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) {
	if err := streamOnly(c); err != nil {
		return nil, err
	}
	return g.join(c, g.streams.Wire, g.request)
}

// Adopt takes over a claim, and with the first one the line.
func (g *gpio) Adopt(c irq.Claim) (irq.Handler, error) {
	return g.join(c, g.streams.Adopt, g.adoptLine)
}

// join gives the claim a stream of its line, which the first one opens.
func (g *gpio) join(c irq.Claim, stream func(irq.Claim, bool) (irq.Handler, error), open func(irq.Claim) (*gpioLine, error)) (irq.Handler, error) {
	handler, err := stream(c, false)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lines[c.Vector.Index]
	if l == nil {
		if l, err = open(c); err != nil {
			g.streams.Unwire(c)
			return nil, err
		}
		g.lines[c.Vector.Index] = l
	}
	l.claims++
	return handler, nil
}

// Unwire ends the stream; after the last one the line is given back.
func (g *gpio) Unwire(c irq.Claim) error {
	g.streams.Unwire(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[c.Vector.Index]; l != nil {
		if l.claims--; l.claims <= 0 {
			l.close()
			delete(g.lines, c.Vector.Index)
		}
	}
	return nil
}

func (g *gpio) Descriptors(c irq.Claim) (Descriptors, error) {
	return g.streams.Descriptors(c)
}

// Settle ends what claims left that did not go on after a restart.
func (g *gpio) Settle() error {
	g.streams.Settle()
	return nil
}

func (g *gpio) Doorbell(v irq.Vector, _ irq.Holder) (int, error) { return -1, noDoorbell(v) }

// Raise: the kernel has no self-test for GPIO.
func (g *gpio) Raise(v irq.Vector, _ uint64) error { return noSelfTest(v) }

// Close gives back every line that is left.
func (g *gpio) Close() error {
	g.mu.Lock()
	for index, l := range g.lines {
		l.close()
		delete(g.lines, index)
	}
	g.mu.Unlock()
	kernel.Close(g.chip)
	g.streams.Close()
	return nil
}

// consumer is what the kernel shows of who has a line: ivt, the holder's label or command, and its pid.
func consumer(h irq.Holder) string {
	label := h.Label
	if label == "" {
		label = h.Command
	}
	label = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '@' {
			return '-'
		}
		return r
	}, label)
	pid := "@" + strconv.Itoa(h.PID)
	return "ivtd:" + label[:min(len(label), 31-len("ivtd:")-len(pid))] + pid
}
