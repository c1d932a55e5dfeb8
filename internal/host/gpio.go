package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// A GPIOLine is a line of a GPIO chip.
type GPIOLine struct {
	Chip     string `json:"chip"` // "gpiochip0"
	Offset   int    `json:"offset"`
	Name     string `json:"name,omitempty"`
	Used     bool   `json:"used"`
	Consumer string `json:"consumer,omitempty"` // the user's own word, at most 31 bytes; debugfs shows 20 of them
}

// gpioLines asks the chips (live), or reads what Save wrote down of them, or /sys/kernel/debug/gpio. The latter two know
// named and used lines only.
func (g *reading) gpioLines() []GPIOLine {
	if g.lines != nil {
		return g.lines
	}
	g.lines = []GPIOLine{}
	if g.Live() {
		g.lines = append(g.lines, liveGPIOLines(g)...)
	}
	if len(g.lines) == 0 {
		g.lines = append(g.lines, parseSavedGPIO(g.textOr(savedGPIO))...)
	}
	if len(g.lines) == 0 {
		g.lines = append(g.lines, parseDebugGPIO(g.textOr("sys/kernel/debug/gpio"))...)
	}
	return g.lines
}

// savedGPIO is the file of a saved machine with the lines that the chips told of by ioctl: chip, offset, "used" or "free", name and
// consumer, with a tab between two and a newline after each line.
const savedGPIO = "ivt/gpio"

func saveGPIO(lines []GPIOLine) (text string) {
	plain := strings.NewReplacer("\t", " ", "\n", " ")
	for _, l := range lines {
		state := "free"
		if l.Used {
			state = "used"
		}
		if l.Used || l.Name != "" {
			text += fmt.Sprintf("%s\t%d\t%s\t%s\t%s\n", l.Chip, l.Offset, state, plain.Replace(l.Name), plain.Replace(l.Consumer))
		}
	}
	return text
}

func parseSavedGPIO(text string) (lines []GPIOLine) {
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			continue
		}
		lines = append(lines, GPIOLine{Chip: f[0], Offset: atoiOr(f[1], -1), Used: f[2] == "used", Name: f[3], Consumer: f[4]})
	}
	return lines
}

func (g *reading) hasGPIO() bool {
	if g.chips == nil {
		g.chips = append([]string{}, g.names("sys/bus/gpio/devices")...)
	}
	return len(g.chips) > 0
}

// parseDebugGPIO reads gpiolib_seq_show of drivers/gpio/gpiolib.c:
//
//	gpiochip0: GPIOs 512-543, parent: platform/3f200000.gpio, pinctrl-bcm2835:
//	 gpio-529 (GPIO17              |nic irq             ) in  hi IRQ
//
// The numbers are global ones; the chip's first is in its line. A chip may write lines of its own instead (gpio-sim,
// pinctrl-msm); these are not read.
func parseDebugGPIO(text string) (lines []GPIOLine) {
	chip, base := "", 0
	for line := range strings.SplitSeq(text, "\n") {
		if name, rest, ok := strings.Cut(line, ": GPIOs "); ok {
			first, _, _ := strings.Cut(rest, "-")
			chip, base = name, atoiOr(first, 0)
			continue
		}
		rest, ok := strings.CutPrefix(line, " gpio-")
		number, rest, _ := strings.Cut(rest, " (")
		n, err := strconv.Atoi(strings.TrimSpace(number))
		end := strings.LastIndexByte(rest, ')')
		if !ok || err != nil || end < 0 || chip == "" {
			continue
		}
		name, consumer, used := strings.Cut(rest[:end], "|")
		if after := strings.TrimSpace(rest[end+1:]); used != (strings.HasPrefix(after, "in") || strings.HasPrefix(after, "out")) || !used && after != "" {
			continue
		}
		lines = append(lines, GPIOLine{Chip: chip, Offset: n - base, Name: strings.TrimSpace(name), Used: used, Consumer: strings.TrimSpace(consumer)})
	}
	return lines
}

// gpioHolders finds the processes that have a line whose consumer is the handler's name. Where the chip counts
// its irqs as its lines, the hwirq is the offset and tells lines of one consumer apart.
func (g *reading) gpioHolders(q *IRQ, handler string, s *scan) (found []Holder) {
	if !slices.ContainsFunc(s.processes, func(p process) bool { return slices.ContainsFunc(p.files, isGPIO) }) {
		return nil
	}
	var match []GPIOLine
	for _, line := range g.gpioLines() {
		if line.Used && line.Consumer != "" && (line.Consumer == handler || len(line.Consumer) == 20 && strings.HasPrefix(handler, line.Consumer)) {
			match = append(match, line)
		}
	}
	exact := slices.DeleteFunc(slices.Clone(match), func(l GPIOLine) bool { return int64(l.Offset) != q.HWIRQ })
	if len(exact) > 0 {
		match = exact
	}
	for _, line := range match {
		for _, h := range g.lineHolders(line, s) {
			h.Certain = h.Certain && len(match) == 1
			found = append(found, h)
		}
	}
	return found
}

// lineHolders returns the processes whose line descriptor is of this line (its fdinfo is of Linux 6.1 at the latest).
func (g *reading) lineHolders(line GPIOLine, s *scan) (found []Holder) {
	for i := range s.processes {
		p := &s.processes[i]
		for _, d := range p.files {
			if isGPIO(d) && hasLine(d.info, line) {
				h := g.identify(p)
				h.Label = line.Consumer
				h.Via = fmt.Sprintf("%s line %d (fd %d)", line.Chip, line.Offset, d.number)
				found = append(found, h)
				break
			}
		}
	}
	return found
}

func isGPIO(d descriptor) bool {
	return strings.HasPrefix(d.target, "anon_inode:gpio-") || strings.HasPrefix(d.target, "anon_inode:[gpio-")
}

// hasLine reads linereq_show_fdinfo of drivers/gpio/gpiolib-cdev.c.
func hasLine(info string, line GPIOLine) bool {
	chip, offset := false, false
	eachPair(info, ":", func(key, value string) {
		chip = chip || key == "gpio-chip" && value == line.Chip
		offset = offset || key == "gpio-line" && value == strconv.Itoa(line.Offset)
	})
	return chip && offset
}

// unnamedLine is the holder of a used line that no process has: a driver of the kernel by its consumer, or, where there
// is none, the pin controller.
func (g *reading) unnamedLine(line GPIOLine, s *scan) Holder {
	if line.Consumer == "" {
		h := Holder{Certain: false}
		h.Kind, h.Driver = irq.HolderKernel, "pinctrl"
		h.Label = "the line has no consumer: its pin is in use for another function, or is a driver's interrupt, or not for use"
		h.Cure = "cat /sys/kernel/debug/pinctrl/*/pinmux-pins shows which function (as root)"
		return h
	}
	if s.denied > 0 || s.seen == 0 {
		h := g.whyNobody(s, fmt.Sprintf("its consumer calls itself %q", line.Consumer))
		return h
	}
	h := Holder{Certain: false}
	h.Kind, h.Driver = irq.HolderKernel, line.Consumer
	h.Label = "no process has the line, so the consumer is a driver of the kernel, or a process of a kernel that does not name lines in fdinfo"
	return h
}
