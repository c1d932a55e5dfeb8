package host

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// pid finds what one process holds, or whose handler a kernel thread runs.
func (w *inquiry) pid(pid int) error {
	stat, ok := w.stat(pid)
	if !ok {
		return w.unknown("pid:"+strconv.Itoa(pid), "there is no process "+strconv.Itoa(pid)+" in "+w.name)
	}
	w.Kind, w.Subject = KindPID, "pid:"+strconv.Itoa(pid)
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if slices.ContainsFunc(q.Handlers, func(h Handler) bool { return h.Thread == pid }) {
			w.note("pid %d is the kernel thread of irq %d", pid, q.Number)
			w.concern(q.Number)
		}
	}
	if !w.heldBy(func(h Holder) bool { return h.PID == pid }) && len(w.concerned) == 0 {
		w.note("pid %d (%s) holds no interrupt", pid, stat.comm)
		w.unreadable(pid)
	}
	return nil
}

// unreadable says that a process holds nothing only as far as one can see.
func (w *inquiry) unreadable(pid int) {
	f, err := w.tree.Open("proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		w.deny("descriptors of pid "+strconv.Itoa(pid), err)
		return
	}
	f.Close()
}

// unit finds what the processes of a systemd unit hold.
func (w *inquiry) unit(target string) (bool, error) {
	if UnitOf("/"+target) != target {
		return false, nil
	}
	w.Kind, w.Subject = KindUnit, target
	if !w.heldBy(func(h Holder) bool { return h.Unit == target }) {
		w.note("no process of %s holds an interrupt", target)
	}
	return true, nil
}

// heldBy adds the irqs and the bare devices that a holder has, and only that holder.
func (w *inquiry) heldBy(is func(Holder) bool) bool {
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		mine := slices.DeleteFunc(slices.Clone(q.Holders), func(h Holder) bool { return !is(h) })
		if len(mine) > 0 {
			q.Holders = mine
			w.concern(q.Number)
		}
	}
	found := len(w.concerned) > 0
	processes := w.processesNow().processes
	for i := range processes {
		p := &processes[i]
		if h := w.identify(p); is(h) && slices.ContainsFunc(p.files, isHold) {
			h.Via = viaOf(p)
			w.hold(h)
			found = true
		}
	}
	return found
}

// isHold leaves out descriptors that many open without holding anything.
func isHold(d descriptor) bool {
	return !strings.HasPrefix(d.target, "/dev/tty") && !strings.HasPrefix(d.target, "/dev/console") &&
		!strings.HasPrefix(d.target, "/dev/gpiochip") && !strings.HasPrefix(d.target, "/dev/snd/control")
}

func viaOf(p *process) string {
	var via []string
	for _, d := range p.files {
		if isHold(d) && len(via) < 8 {
			via = append(via, d.target+" (fd "+strconv.Itoa(d.number)+")")
		}
	}
	return strings.Join(via, ", ")
}

// gpioChip takes "gpiochip0" and "gpiochip0/17".
func (w *inquiry) gpioChip(target string) (bool, error) {
	chip, offset, one := strings.Cut(target, "/")
	if !isNumbered(chip, "gpiochip") {
		return false, nil
	}
	n, err := strconv.Atoi(offset)
	if one && (err != nil || n < 0) {
		return true, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "look up", Name: target, Reason: irq.ReasonMalformed,
			Detail: "the offset of the line is not a decimal number", Remedies: []string{"write gpiochip0/17"}}
	}
	w.Kind, w.Subject = KindGPIO, "gpio:"+target
	return true, w.gpio(target, func(l GPIOLine) bool { return l.Chip == chip && (!one || l.Offset == n) })
}

// gpioName takes the name of a line. Several lines may have one name.
func (w *inquiry) gpioName(target string) (bool, error) {
	is := func(l GPIOLine) bool { return l.Name == target && target != "" }
	if !slices.ContainsFunc(w.gpioLines(), is) {
		return false, nil
	}
	w.Kind, w.Subject = KindGPIO, target
	return true, w.gpio(target, is)
}

func (w *inquiry) gpio(target string, is func(GPIOLine) bool) error {
	for _, line := range w.gpioLines() {
		if !is(line) {
			continue
		}
		w.Lines = append(w.Lines, line)
		if w.lineInterrupt(line) || !line.Used {
			continue
		}
		holders := w.lineHolders(line, w.processesNow())
		for _, h := range orUnknown(holders, w.unnamedLine(line, w.processesNow())) {
			h.Device = line.Chip + "/" + strconv.Itoa(line.Offset)
			w.hold(h)
		}
		w.lineIRQs(line)
	}
	if len(w.Lines) > 0 || strings.HasPrefix(target, "gpiochip") && w.exists("sys/bus/gpio/devices/"+strings.Split(target, "/")[0]) {
		return nil
	}
	return w.unknown(target, "there is no such GPIO line, or the chip may not be opened", "run it as root")
}

// lineInterrupt adds the irq that a line is, if a driver of the kernel has it and never requested the line. Linux 6.1 says that
// such a line is used by "interrupt", 6.12 that it is used, and 7 nothing.
func (w *inquiry) lineInterrupt(line GPIOLine) bool {
	if line.Consumer != "" && line.Consumer != "interrupt" {
		return false
	}
	q := w.irqOfLine(line)
	if q == nil {
		return false
	}
	w.note("a driver of the kernel has line %d of %s as its interrupt, irq %d", line.Offset, line.Chip, q.Number)
	w.concern(q.Number)
	return true
}

// irqOfLine finds the irq with a line's number and its chip's name. The irqs of many chips have the name of their driver: then it
// is the only one of such a name, which says nothing if there are several chips.
func (w *inquiry) irqOfLine(line GPIOLine) *IRQ {
	const chips = "sys/bus/gpio/devices"
	owner := path.Base(path.Dir(w.link(chips + "/" + line.Chip)))
	var likely []*IRQ
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if q.HWIRQ != int64(line.Offset) || len(q.Handlers) == 0 {
			continue
		}
		if q.Chip == owner {
			return q
		}
		if name := strings.ToLower(q.Chip); strings.Contains(name, "gpio") || strings.Contains(name, "pin") {
			likely = append(likely, q)
		}
	}
	if len(likely) != 1 || len(w.names(chips)) != 1 {
		return nil
	}
	return likely[0]
}

// lineIRQs adds the irqs whose handler has the consumer's name.
func (w *inquiry) lineIRQs(line GPIOLine) {
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if line.Consumer != "" && q.HWIRQ == int64(line.Offset) && slices.ContainsFunc(q.Handlers, func(h Handler) bool { return h.Name == line.Consumer }) {
			w.concern(q.Number)
		}
	}
}
