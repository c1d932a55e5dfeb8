package host

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// affinities reads /proc/irq/N (kernel/irq/proc.c). An irq without handler has no directory there.
func (g *reading) affinities() {
	if !g.exists("proc/irq") {
		g.blind("affinities", "proc/irq", fs.ErrNotExist)
		return
	}
	modes := g.modesTell()
	g.eachIRQ(func(q *IRQ) {
		dir := "proc/irq/" + strconv.Itoa(q.Number) + "/"
		asked, err := g.text(dir + "smp_affinity_list")
		if err != nil {
			g.deny("affinities", err)
			return
		}
		a := &Affinity{Node: g.number(dir+"node", -1)}
		a.Asked, _ = ParseCPUList(asked)
		if s, err := g.text(dir + "effective_affinity_list"); err == nil {
			a.Effective, _ = ParseCPUList(s)
		}
		if hint, ok := ParseCPUMask(g.textOr(dir + "affinity_hint")); ok && hint.Len() > 0 {
			a.Hint = hint
		}
		g.settable(q, a, dir+"smp_affinity_list", modes)
		q.Affinity = a
	})
}

// settable reads the mode of the file: since Linux 6.12 at the latest it is 0444 where a write is refused
// (managed, per CPU, IRQF_NOBALANCING). Before, it is always 0644 and tells nothing.
func (g *reading) settable(q *IRQ, a *Affinity, file string, modesTell bool) {
	if q.Debug != nil && q.Debug.has("IRQD_AFFINITY_MANAGED") {
		a.Managed, a.ManagedBy, a.Settable = Yes, "debugfs", No
		return
	}
	if q.Debug != nil {
		a.Managed, a.ManagedBy = No, "debugfs"
	}
	info, err := fs.Stat(g.tree, file)
	switch {
	case err != nil || !modesTell:
	case info.Mode().Perm()&0o200 == 0:
		a.Settable = No
		if a.Managed == Unknown && q.Device != nil && strings.Contains(q.Chip, "MSI") {
			a.Managed, a.ManagedBy = Yes, "file mode"
		}
	case g.since(6, 12):
		a.Settable = Yes
		if a.Managed == Unknown {
			a.Managed, a.ManagedBy = No, "file mode"
		}
	}
}

// modesTell reports whether the tree has the kernel's file modes. A copy may have lost them: then
// /proc/interrupts or a read-only neighbour is writable.
func (g *reading) modesTell() bool {
	if g.kind != kindDirectory {
		return true
	}
	info, err := fs.Stat(g.tree, "proc/interrupts")
	return err == nil && info.Mode().Perm()&0o222 == 0
}

// since reports whether the kernel is known to be of this version or later.
func (g *reading) since(major, minor int) bool {
	first, rest, _ := strings.Cut(g.Kernel, ".")
	second, _, _ := strings.Cut(rest, ".")
	second, _, _ = strings.Cut(second, "-")
	a, err := strconv.Atoi(first)
	b, err2 := strconv.Atoi(second)
	return err == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// spurious reads /proc/irq/N/spurious: "count 148\nunhandled 1\nlast_unhandled 978556 ms".
func (g *reading) spurious() {
	g.eachIRQ(func(q *IRQ) {
		text, err := g.text("proc/irq/" + strconv.Itoa(q.Number) + "/spurious")
		if err != nil {
			g.deny("spurious counts", err)
			return
		}
		s := &Spurious{}
		eachPair(text, " ", func(key, value string) {
			value, _, _ = strings.Cut(value, " ")
			n, _ := strconv.ParseUint(value, 10, 63)
			switch key {
			case "count":
				s.Count = n
			case "unhandled":
				s.Unhandled = n
			case "last_unhandled":
				s.Last = sinceBoot(n)
			}
		})
		q.Spurious = s
	})
}

// sinceBoot turns the kernel's milliseconds, which come from jiffies in 32 bits, into time since boot: jiffies start
// five minutes before their wrap (INITIAL_JIFFIES in include/linux/jiffies.h). 0 is "never". After 49 days nobody
// can tell one round from the next.
func sinceBoot(ms uint64) time.Duration {
	if ms == 0 {
		return 0
	}
	return time.Duration(uint32(ms)+300_000) * time.Millisecond
}
