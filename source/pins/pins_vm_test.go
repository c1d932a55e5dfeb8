//go:build linux

// Package pins has the tests of gpio sources on a machine with a pin controller, which is a boot of its own: a line that
// nobody has requested and that cannot be had all the same.
package pins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/internal/record"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:pins on
//vm:program ./cmd/ivt
//vm:kernel 6.1 6.12 7

// The machine's registers, see test/vm/testdata/pins.asl and Linux' pinctrl-intel.c, and the lines of the tests.
const (
	registers = 0x20000000
	padOwner  = 0x20  // four bits a pin: 0 if it is the host's
	pending   = 0x100 // GPI_IS, a bit a pin
	pads      = 0x400 // PADCFG0 and PADCFG1 of each pin
	high      = 1 << 1
	wire      = "0000:00:19.0" // the edu that is the controller's interrupt

	ownerLine = 7
	portLine  = 5
)

// machine is the hardware's side.
type machine struct {
	guest.BAR // the registers of the controller's first 48 pins
	port      []byte
	wire      guest.Edu
	chip      string // "gpiochip0"
}

func openMachine(t *testing.T) *machine {
	t.Helper()
	guest.Require(t)
	f, err := os.OpenFile("/dev/mem", os.O_RDWR|os.O_SYNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := syscall.Mmap(int(f.Fd()), registers, 0x4000, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	return &machine{BAR: m[:0x1000], port: m[0x3000:0x3008], wire: guest.OpenEdu(t, wire), chip: one(t, "/sys/devices/platform/INT344B:00/gpiochip[0-9]*")}
}

func one(t *testing.T, pattern string) string {
	t.Helper()
	found, _ := filepath.Glob(pattern)
	if len(found) != 1 {
		t.Fatalf("%s: %q", pattern, found)
	}
	return filepath.Base(found[0])
}

// pulse is an edge of a line, as the controller tells the kernel of it.
func (m *machine) pulse(line int) {
	m.Write(pending, 1<<line)
	m.wire.Raise(1)
	m.wire.Ack(1)
}

// unchanged fails the test if what f does is to be seen in the controller's registers or in what the kernel says of the line.
func (m *machine) unchanged(t *testing.T, line int, f func()) {
	t.Helper()
	registers, info := bytes.Clone(m.BAR), m.info(t, line)
	f()
	for i := 0; i < len(registers); i += 4 {
		if now := m.BAR[i : i+4]; !bytes.Equal(now, registers[i:i+4]) {
			t.Errorf("register %#x was % x and is % x", i, registers[i:i+4], now)
		}
	}
	now := m.info(t, line)
	if info.Flags&kernel.GPIOUsed == 0 { // so it was asked for, and what the kernel has noted of its bias is lost with that
		info.Flags &^= kernel.GPIOBiasDisabled
		now.Flags &^= kernel.GPIOBiasDisabled
	}
	if d := cmp.Diff(info, now); d != "" {
		t.Errorf("the line is shown in another way (-before +after):\n%s", d)
	}
}

func (m *machine) info(t *testing.T, line int) kernel.GPIOLine {
	t.Helper()
	fd := must(kernel.OpenDevice("/dev/"+m.chip, 0))(t)
	defer kernel.Close(fd)
	return must(kernel.GetGPIOLine(fd, line))(t)
}

// ivt is the chip as a source.
type ivt struct {
	*testing.T
	source   source.Source
	registry *irq.Registry
	name     string
}

func open(t *testing.T, chip string) *ivt {
	t.Helper()
	name := "gpio:" + chip
	s, err := source.Lookup("gpio").Open(context.Background(), source.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	registry := irq.New(irq.Config{})
	attached, err := registry.Attach(s.Spec())
	if err != nil {
		t.Fatal(err)
	}
	s.Attached(attached)
	t.Cleanup(func() {
		registry.Close()
		s.Close()
	})
	return &ivt{t, s, registry, name}
}

func (i *ivt) connect(line int) (*irq.Connection, error) {
	return i.registry.Connect(context.Background(), irq.Request{Vectors: []irq.Vector{{Source: i.name, Index: line}}})
}

// refused connects, which must fail with 763 because of the kernel, and returns the reason in words and the holder.
func (i *ivt) refused(line int) (string, irq.Holder) {
	i.Helper()
	c, err := i.connect(line)
	var e *irq.Error
	if err == nil {
		c.Disconnect(context.Background())
		i.Fatal("connected")
	}
	if !errors.As(err, &e) {
		i.Fatal(err)
	}
	if e.Code != irq.ErrAlreadyConnected || e.Reason != irq.ReasonKernelHolds || len(e.Conflicts) != 1 || len(e.Conflicts[0].Holders) != 1 {
		i.Fatalf("refused with %+v", e)
	}
	return e.Detail, e.Conflicts[0].Holders[0]
}

// Firmware keeps a pin for something else: the kernel shows the line as free, and answers EBUSY.
func TestVMPinControllerKeepsThePin(t *testing.T) {
	m := openMachine(t)
	i := open(t, m.chip)
	m.Write(padOwner, 1<<(4*ownerLine))
	defer m.Write(padOwner, 0)
	for range 2 {
		m.unchanged(t, ownerLine, func() {
			if detail, h := i.refused(ownerLine); h.Kind != irq.HolderKernel || h.Driver != "pinctrl" || !strings.Contains(detail, "pin controller") {
				t.Errorf("%q, held by %+v", detail, h)
			}
		})
	}
	m.Write(padOwner, 0)
	c, err := i.connect(ownerLine)
	if err != nil {
		t.Fatalf("it is the host's again: %v", err)
	}
	if err := c.Disconnect(context.Background()); err != nil {
		t.Error(err)
	}
}

// A driver of the kernel has the line as its interrupt and never requested it: it goes on getting its interrupts.
func TestVMDriverHasTheLineAsItsInterrupt(t *testing.T) {
	m := openMachine(t)
	i := open(t, m.chip)
	tty := m.openPort(t)
	m.counts(t, tty.Name(), 1)
	for range 2 {
		m.unchanged(t, portLine, func() {
			if detail, h := i.refused(portLine); h.Kind != irq.HolderKernel || h.Driver != filepath.Base(tty.Name()) || !strings.Contains(detail, "irqchip") {
				t.Errorf("%q, held by %+v", detail, h)
			}
		})
		m.counts(t, tty.Name(), 3)
		m.interfere(t)
	}
	who := must(exec.Command("ivt", "who", fmt.Sprintf("%s/%d", m.chip, portLine)).Output())(t)
	if want := "kernel driver " + filepath.Base(tty.Name()) + " (irq "; !strings.Contains(string(who), want) {
		t.Errorf("ivt who does not say %q:\n%s", want, who)
	}
	tty.Close()
	m.edges(t, i)
}

// interfere is somebody else who asks for the line, and is refused, after which Linux 6.1 shows it without a consumer.
func (m *machine) interfere(t *testing.T) {
	t.Helper()
	fd := must(kernel.OpenDevice("/dev/"+m.chip, 0))(t)
	defer kernel.Close(fd)
	line, err := kernel.RequestGPIO(fd, kernel.GPIORequest{Offset: portLine, Consumer: "somebody", Flags: kernel.GPIOInput | kernel.GPIORising})
	if err == nil {
		kernel.Close(line)
	}
	if !errors.Is(err, syscall.EBUSY) {
		t.Errorf("somebody asked: %v, want EBUSY", err)
	}
}

// openPort opens the serial port, with which its driver requests the line's interrupt.
func (m *machine) openPort(t *testing.T) *os.File {
	t.Helper()
	name := ""
	for _, entry := range must(os.ReadDir("/sys/class/tty"))(t) {
		if text, _ := os.ReadFile("/sys/class/tty/" + entry.Name() + "/iomem_base"); strings.TrimSpace(string(text)) == "0x20003000" {
			name = entry.Name()
		}
	}
	tty := must(os.OpenFile("/dev/"+name, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0))(t)
	t.Cleanup(func() { tty.Close() })
	m.port[2] = 1 // IIR: the port has nothing to say
	return tty
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// counts gives the port n interrupts, which the kernel must count for it.
func (m *machine) counts(t *testing.T, tty string, n uint64) {
	t.Helper()
	for range n {
		before := interrupts(t, filepath.Base(tty))
		m.pulse(portLine)
		guest.Eventually(t, "the port's driver gets its interrupt", func() bool { return interrupts(t, filepath.Base(tty)) == before+1 })
	}
}

// interrupts returns how many interrupts came for a handler of that name.
func interrupts(t *testing.T, name string) (total uint64) {
	t.Helper()
	for line := range strings.Lines(string(must(os.ReadFile("/proc/interrupts"))(t))) {
		words := strings.Fields(line)
		if words[len(words)-1] != name {
			continue
		}
		for _, w := range words[1:] {
			n, err := strconv.ParseUint(w, 10, 64)
			if err != nil {
				return total
			}
			total += n
		}
	}
	t.Fatalf("/proc/interrupts has no %s", name)
	return 0
}

// edges connects to the port's line, which is nobody's interrupt any more, and gets an edge.
func (m *machine) edges(t *testing.T, i *ivt) {
	t.Helper()
	m.Write(pads+8*portLine, m.Read(pads+8*portLine)|high)
	c := must(i.connect(portLine))(t)
	d := must(i.source.Descriptors(irq.Claim{Vector: c.Vectors()[0], Connection: c.ID(), Generation: c.Generation()}))(t)
	defer d.Close()
	m.pulse(portLine)
	b := make([]byte, 64)
	n := 0
	guest.Eventually(t, "a record of the edge", func() (ok bool) {
		n, _, _ = syscall.Recvfrom(d.FD, b, syscall.MSG_DONTWAIT)
		return n > 0
	})
	if r := must(record.Decode(b[:n]))(t); r.Count != 1 || r.Data != 1 {
		t.Errorf("got %+v, want one rising edge", r)
	}
	if err := c.Disconnect(context.Background()); err != nil {
		t.Error(err)
	}
}
