package host

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const debugDir = "sys/kernel/debug/irq/irqs"

// debugfs reports whether /sys/kernel/debug/irq is there, and says why it is not.
func (g *reading) debugfs() bool {
	_, err := fs.ReadDir(g.tree, debugDir)
	if err == nil {
		return true
	}
	b := Blind{What: "exact state of irqs", Why: "/" + debugDir + " is not there: the kernel has no CONFIG_GENERIC_IRQ_DEBUGFS, or debugfs is not mounted"}
	if g.Live() && g.names("sys/kernel/debug") == nil {
		b.Why, b.Cure = "/sys/kernel/debug cannot be read", "run it as root, with debugfs mounted: mount -t debugfs debugfs /sys/kernel/debug"
	}
	if g.kind == kindBare {
		b.Why, b.Cure = g.name+" is a copy of /proc/interrupts and has nothing else", g.cure(err)
	}
	g.addBlind(b)
	return false
}

// debug reads irq_debug_show of kernel/irq/debugfs.c: "key: value" lines, flags by name on lines of their own,
// domains and chips indented below.
func (g *reading) debug(q *IRQ) {
	text, err := g.text(debugDir + "/" + strconv.Itoa(q.Number))
	if err != nil {
		g.deny("exact state of irqs", err)
		return
	}
	q.Debug = parseDebug(text)
}

func parseDebug(text string) *Debug {
	d := &Debug{Vector: -1, Target: -1}
	domains := false
	for line := range strings.SplitSeq(text, "\n") {
		key, value, pair := strings.Cut(line, ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		domains = domains || key == "domain"
		switch {
		case !pair && !domains && strings.HasPrefix(key, "IRQ"):
			d.Flags = append(d.Flags, key)
		case key == "handler":
			d.Handler = value
		case key == "device":
			d.Device = value
		case key == "ddepth":
			d.Depth, _ = strconv.Atoi(value)
		case key == "domain":
			d.Domain = append(d.Domain, value)
		case key == "Vector":
			d.Vector = atoiOr(value, -1)
		case key == "Target":
			d.Target = atoiOr(value, -1)
		}
	}
	return d
}

func atoiOr(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

func (d *Debug) has(flag string) bool { return slices.Contains(d.Flags, flag) }

// Disabled reports whether the kernel does not deliver the irq: disable_irq, or "nobody cared".
func (d *Debug) Disabled() bool { return d.Depth > 0 || d.has("IRQS_SPURIOUS_DISABLED") }
