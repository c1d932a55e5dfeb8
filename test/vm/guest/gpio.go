package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// GPIOChip is a simulated GPIO chip (Documentation/admin-guide/gpio/gpio-sim.rst).
type GPIOChip struct {
	Name  string // "gpiochip0"; /dev has it
	Label string // as gpioinfo shows it
	lines string // folder of the lines' attributes
}

// GPIOLine describes a line of a simulated chip. Both may be empty.
type GPIOLine struct {
	Name string
	Hog  string // a consumer that the kernel gives the line to
}

const simulators = "/sys/kernel/config/gpio-sim"

// NewGPIOChip makes a chip with these lines. Only the own kernel and those
// from 7.3 on can; others skip the test. It is removed when the test ends.
func NewGPIOChip(t testing.TB, lines ...GPIOLine) *GPIOChip {
	t.Helper()
	Load(t, "gpio-sim")
	dir := filepath.Join(simulators, strings.ReplaceAll(t.Name(), "/", "-"))
	bank := filepath.Join(dir, "bank")
	label := filepath.Base(dir)
	remove := func() {
		write(filepath.Join(dir, "live"), "0")
		for i := range lines {
			os.Remove(filepath.Join(bank, lineDir(i), "hog"))
			os.Remove(filepath.Join(bank, lineDir(i)))
		}
		os.Remove(bank)
		os.Remove(dir)
	}
	t.Cleanup(remove)
	must(t, os.MkdirAll(bank, 0o755))
	must(t, write(filepath.Join(bank, "num_lines"), fmt.Sprint(len(lines))))
	must(t, write(filepath.Join(bank, "label"), label))
	for i, l := range lines {
		must(t, l.configure(filepath.Join(bank, lineDir(i))))
	}
	must(t, write(filepath.Join(dir, "live"), "1"))
	dev, chip := attribute(t, dir, "dev_name"), attribute(t, bank, "chip_name")
	return &GPIOChip{Name: chip, Label: label, lines: filepath.Join("/sys/devices/platform", dev, chip)}
}

func (l GPIOLine) configure(dir string) error {
	if l == (GPIOLine{}) {
		return nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if l.Name != "" {
		if err := write(filepath.Join(dir, "name"), l.Name); err != nil {
			return err
		}
	}
	if l.Hog == "" {
		return nil
	}
	hog := filepath.Join(dir, "hog")
	if err := os.Mkdir(hog, 0o755); err != nil {
		return err
	}
	if err := write(filepath.Join(hog, "direction"), "input"); err != nil {
		return err
	}
	return write(filepath.Join(hog, "name"), l.Hog)
}

// Pull sets what is connected to a line: high or low. A change is an edge.
func (c *GPIOChip) Pull(t testing.TB, line int, high bool) {
	t.Helper()
	value := "pull-down"
	if high {
		value = "pull-up"
	}
	must(t, write(filepath.Join(c.lines, fmt.Sprintf("sim_gpio%d", line), "pull"), value))
}

func lineDir(i int) string { return fmt.Sprintf("line%d", i) }

func attribute(t testing.TB, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	return strings.TrimSpace(string(text))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
