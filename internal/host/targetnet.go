package host

import (
	"slices"
	"strconv"
	"strings"
)

// netInterface takes "eth0" and "eth0/rx-3". A bridge, bond or VLAN stands for the interfaces below it.
func (w *inquiry) netInterface(target string) (bool, error) {
	name, queue, hasQueue := strings.Cut(target, "/")
	if name == "" || !w.exists("sys/class/net/"+name) {
		return false, nil
	}
	w.Kind, w.Subject = KindNet, target
	w.netBelow(name, 0)
	if len(w.Answer.Devices) == 0 {
		w.namedAfter(name)
	}
	if len(w.Answer.Devices) == 0 && len(w.concerned) == 0 {
		w.note("%s has no interrupt of its own: it is virtual, or its device is on a bus without message interrupts", name)
	}
	if hasQueue {
		return true, w.queue(target, name, queue)
	}
	return true, nil
}

func (w *inquiry) netBelow(name string, depth int) {
	for _, d := range w.Machine.Devices {
		if slices.Contains(d.Net, name) {
			w.device(d)
		}
	}
	if depth == maxStack {
		return
	}
	for _, entry := range w.names("sys/class/net/" + name) {
		if below, ok := strings.CutPrefix(entry, "lower_"); ok {
			w.netBelow(below, depth+1)
		}
	}
}

// namedAfter finds irqs whose handlers bear the interface's name, for devices that are not on PCI.
func (w *inquiry) namedAfter(name string) {
	for i := range w.Machine.IRQs {
		q := &w.Machine.IRQs[i]
		if slices.ContainsFunc(q.Handlers, func(h Handler) bool {
			return h.Name == name || strings.HasPrefix(h.Name, name+"-") || strings.HasPrefix(h.Name, name+":")
		}) {
			w.concern(q.Number)
		}
	}
}

// queue keeps the irqs of one queue: "rx-3", "tx-0", "3". A handler named as the interface is none.
func (w *inquiry) queue(target, name, queue string) error {
	direction, number, ok := queueOf(queue)
	var kept []int
	var there []string
	for _, n := range w.sortedConcerned() {
		q := w.Machine.IRQ(n)
		if q == nil {
			continue
		}
		for _, h := range q.Handlers {
			d, i, isQueue := queueOf(h.Name)
			if h.Name == queue || ok && isQueue && h.Name != name && i == number && (d == "" || direction == "" || d == direction) {
				kept = append(kept, n)
			}
			there = append(there, h.Name)
		}
	}
	if len(kept) == 0 {
		return w.unknown(target, "no handler there serves this queue; there are: "+strings.Join(there[:min(len(there), 20)], ", "))
	}
	w.concerned, w.Answer.Devices = kept, nil
	return nil
}

// queueOf reads the queue of a handler's name: the direction "rx", "tx" or "" for both, and its number. Drivers name
// them eth0-TxRx-3, eth0-rx-3, virtio2-input.0, mlx5_comp3@pci:0000:c1:00.0, nvme0q3, ena0-Tx-Rx-2, eth0-3.
func queueOf(name string) (direction string, number int, ok bool) {
	name, _, _ = strings.Cut(strings.ToLower(name), "@")
	digits := len(name)
	for digits > 0 && name[digits-1]-'0' <= 9 {
		digits--
	}
	number, err := strconv.Atoi(name[digits:])
	if err != nil {
		return "", 0, false
	}
	before := strings.TrimRight(name[:digits], "-.:_ ")
	both := strings.HasSuffix(before, "txrx") || strings.HasSuffix(before, "rxtx") || strings.HasSuffix(before, "tx-rx")
	switch {
	case both:
		return "", number, true
	case strings.HasSuffix(before, "rx"), strings.HasSuffix(before, "input"):
		return "rx", number, true
	case strings.HasSuffix(before, "tx"), strings.HasSuffix(before, "output"):
		return "tx", number, true
	}
	return "", number, true
}
