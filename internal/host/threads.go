package host

import (
	"strconv"
	"strings"
)

// threads finds the kernel thread of each threaded handler: "irq/36-nvme0q1", "irq/36-s-…" for the second one
// of a forced-threaded handler (setup_irq_thread in kernel/irq/manage.c). Before Linux 5.17 the name is cut at 15
// bytes, so a handler's name may be longer than its thread's.
func (g *reading) threads(kthreads []process) {
	for i := range kthreads {
		t := &kthreads[i]
		rest, ok := strings.CutPrefix(t.stat.comm, "irq/")
		number, name, cut := strings.Cut(rest, "-")
		n, err := strconv.Atoi(number)
		if !ok || !cut || err != nil {
			continue
		}
		if q := g.Machine.IRQ(n); q != nil {
			if h := threaded(q.Handlers, name); h != nil {
				h.Thread, h.Policy, h.Priority = t.pid, t.stat.policy, t.stat.priority
			}
		}
	}
}

// threaded returns the first handler without thread that name is the thread of.
func threaded(handlers []Handler, name string) *Handler {
	for i := range handlers {
		if h := &handlers[i]; h.Thread == 0 && strings.HasPrefix(h.Name, name) {
			return h
		}
	}
	return nil
}
