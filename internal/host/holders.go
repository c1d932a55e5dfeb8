package host

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// processes finds the kernel threads and the processes behind the irqs.
func (g *reading) processes() {
	if g.Parts&PartThreads == 0 && !slices.ContainsFunc(g.IRQs, g.mayHaveProcess) {
		return
	}
	s := g.scan(g.extra...)
	g.scanned = s
	if g.Parts&PartThreads != 0 {
		g.threads(s.kthreads)
	}
	if g.Parts&PartHolders == 0 {
		return
	}
	if s.seen == 0 {
		g.addBlind(Blind{What: blindProcesses, Why: "there are no processes in " + g.name, Cure: g.cure(nil)})
	}
	if s.denied > 0 {
		g.addBlind(Blind{What: blindProcesses, Why: fmt.Sprintf("the descriptors of %d of %d processes may not be read", s.denied, s.seen), Cure: "run it as root"})
	}
	for i := range g.IRQs {
		if g.mayHaveProcess(g.IRQs[i]) {
			g.holders(&g.IRQs[i], s)
		}
	}
}

const blindProcesses = "processes that hold interrupts"

// mayHaveProcess reports whether the processes are worth a look for q.
func (g *reading) mayHaveProcess(q IRQ) bool {
	if !g.wanted(&q) {
		return false
	}
	return slices.ContainsFunc(q.Handlers, func(h Handler) bool {
		for _, prefix := range append([]string{"vfio-", "tty", "rtc", "hpet", "snd_"}, serialHandlers...) {
			if strings.Contains(h.Name, prefix) {
				return true
			}
		}
		return g.uioOf(&q, h.Name) != "" || g.hasGPIO()
	})
}

// holders replaces the kernel drivers of q by the processes that they work for, or puts processes before them whose
// open device is the reason that the kernel requested the irq.
func (g *reading) holders(q *IRQ, s *scan) {
	var all []Holder
	for i := range q.Handlers {
		driver := q.Holders[i]
		found, instead := g.behind(q, q.Handlers[i].Name, s)
		for _, h := range found {
			h.IRQ, h.Driver, h.Device = q.Number, "", driver.Device
			if !slices.ContainsFunc(all, func(o Holder) bool { return o.SameProcess(h.Holder) }) {
				all = append(all, h)
			}
		}
		if !instead {
			all = append(all, driver)
		}
	}
	q.Holders = all
}

// behind finds the processes behind one handler. instead is true where the kernel driver only passes the
// interrupt on.
func (g *reading) behind(q *IRQ, handler string, s *scan) (found []Holder, instead bool) {
	switch {
	case strings.HasPrefix(handler, "vfio-"):
		return orUnknown(g.vfioHolders(s, g.vfioDevice(q, handler)), g.whyNobody(s, "a process holds it through VFIO")), true
	case g.uioOf(q, handler) != "":
		uio := g.uioOf(q, handler)
		if q.Vector.IsZero() {
			q.Vector = irq.Vector{Source: "uio:" + uio}
		}
		if found = g.having(s, "/dev/"+uio); len(found) > 0 {
			return found, true
		}
		return nil, false // without opener the driver has it
	}
	if found = g.gpioHolders(q, handler, s); len(found) > 0 {
		return found, true
	}
	return g.openers(q, handler, s), false
}

// having returns the processes that have one of the paths open.
func (g *reading) having(s *scan, paths ...string) (found []Holder) {
	for i := range s.processes {
		p := &s.processes[i]
		for _, d := range p.files {
			if slices.Contains(paths, d.target) {
				h := g.identify(p)
				h.Via = fmt.Sprintf("%s (fd %d)", d.target, d.number)
				found = append(found, h)
				break
			}
		}
	}
	return found
}

func orUnknown(found []Holder, unknown Holder) []Holder {
	if len(found) > 0 {
		return found
	}
	return []Holder{unknown}
}

// whyNobody is the holder that could not be named, with the reason.
func (g *reading) whyNobody(s *scan, what string) Holder {
	h := Holder{Certain: true}
	h.Kind = irq.HolderUnknown
	switch {
	case s.seen == 0:
		h.Label, h.Cure = what+"; there are no processes in "+g.name, g.cure(nil)
	case s.denied > 0:
		h.Label, h.Cure = what+"; the descriptors of "+countOf(s.denied, "process")+" may not be read", "run it as root"
	case !g.Live():
		h.Label = what + "; none of the processes in " + g.name + " has it"
	default:
		h.Label, h.Cure = what+"; no process that can be seen from here has it", "run it in the machine's first pid namespace, outside any container"
	}
	return h
}

// openers finds who opened a device whose driver requests its irq in open().
func (g *reading) openers(q *IRQ, handler string, s *scan) []Holder {
	if tty := g.ttyOf(q, handler); tty != "" {
		return g.having(s, append(g.consoles(tty), "/dev/"+tty)...)
	}
	name, card, isCard := strings.Cut(handler, ":card")
	switch {
	case strings.HasPrefix(handler, "rtc"):
		return g.having(s, "/dev/"+handler, "/dev/rtc")
	case strings.HasPrefix(handler, "hpet"):
		return g.having(s, "/dev/hpet")
	case isCard && strings.HasPrefix(name, "snd_"):
		return g.having(s, g.soundDevices(card)...)
	}
	return nil
}

// ttyOf returns the serial line of a handler: of the same name, or the one whose irq it is (drivers/tty/serial/serial_core.c
// shows that to root).
func (g *reading) ttyOf(q *IRQ, handler string) string {
	if strings.HasPrefix(handler, "tty") && g.exists("sys/class/tty/"+handler) {
		return handler
	}
	if !slices.ContainsFunc(serialHandlers, func(s string) bool { return strings.Contains(handler, s) }) {
		return ""
	}
	for _, tty := range g.names("sys/class/tty") {
		if g.textOr("sys/class/tty/"+tty+"/irq") == strconv.Itoa(q.Number) {
			return tty
		}
	}
	return ""
}

var serialHandlers = []string{"serial", "uart", "pl011"}

// consoles returns /dev/console if the terminal is one of the consoles.
func (g *reading) consoles(tty string) []string {
	if slices.Contains(strings.Fields(g.textOr("sys/class/tty/console/active")), tty) {
		return []string{"/dev/console"}
	}
	return nil
}

// soundDevices returns the paths of a sound card's devices: controlC0, pcmC0D0p, hwC0D0 …
func (g *reading) soundDevices(card string) (paths []string) {
	if _, err := strconv.Atoi(card); err != nil {
		return nil
	}
	for _, name := range g.names("sys/class/sound") {
		if _, rest, ok := strings.Cut(name, "C"+card); ok && (rest == "" || rest[0] == 'D') {
			paths = append(paths, "/dev/snd/"+name)
		}
	}
	return paths
}
