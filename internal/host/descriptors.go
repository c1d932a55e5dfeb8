package host

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const descriptorDir = "sys/kernel/irq"

// sysfsActions returns /sys/kernel/irq/N/actions where it is needed to tell the handlers apart.
func (r *Root) sysfsActions(number int, actions string) string {
	if !strings.Contains(actions, ", ") || r.kind == kindBare {
		return ""
	}
	return r.textOr(descriptorDir + "/" + strconv.Itoa(number) + "/actions")
}

// descriptors reads /sys/kernel/irq (kernel/irq/irqdesc.c, since 4.9), which has every irq, also those that nobody
// requested, and debugfs where it is on. Nothing is ever written there: a write to debugfs injects the interrupt.
func (g *reading) descriptors() {
	names := g.names(descriptorDir)
	if names == nil {
		g.blind("irqs without handler", descriptorDir, fs.ErrNotExist)
	}
	var free []IRQ // kept apart: IRQ searches in order
	for _, name := range names {
		number, err := strconv.Atoi(name)
		if err == nil && g.Machine.IRQ(number) == nil && (g.only == nil || slices.Contains(g.only, number)) {
			free = append(free, g.descriptor(number))
		}
	}
	g.IRQs = append(g.IRQs, free...)
	g.sortIRQs()
	debug := g.debugfs()
	g.eachIRQ(func(q *IRQ) {
		dir := descriptorDir + "/" + strconv.Itoa(q.Number) + "/"
		q.Wakeup = g.textOr(dir + "wakeup")
		if t := g.textOr(dir + "type"); t == "edge" || t == "level" {
			q.Trigger = t
		}
		if debug {
			g.debug(q)
		}
	})
}

// descriptor makes an IRQ of an irq that has no row.
func (g *reading) descriptor(number int) IRQ {
	dir := descriptorDir + "/" + strconv.Itoa(number) + "/"
	q := IRQ{Number: number, Chip: g.textOr(dir + "chip_name"), Flow: g.textOr(dir + "name"), HWIRQ: -1, Index: -1}
	if n, err := strconv.ParseInt(g.textOr(dir+"hwirq"), 10, 64); err == nil {
		q.HWIRQ = n
	}
	for count := range strings.SplitSeq(g.textOr(dir+"per_cpu_count"), ",") { // one page, cut on large machines
		n, _ := strconv.ParseUint(count, 10, 32)
		q.Total += n
	}
	if names := g.textOr(dir + "actions"); names != "" { // chained, hidden, or requested just now
		for name := range strings.SplitSeq(names, ",") {
			q.Handlers = append(q.Handlers, Handler{Name: name})
		}
	}
	return q
}
