package picture

import (
	"strconv"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

func itoa(n int) string { return strconv.Itoa(n) }

// fromIRQ makes the row of a Linux interrupt.
func fromIRQ(q *host.IRQ) Row {
	total := q.Total
	r := Row{Name: q.Name(), IRQ: q.Number, Timer: q.Number == 0, State: irq.StateFree, Source: q.Source, Device: q.Source, Driver: q.Driver,
		Chip: q.Chip, Trigger: q.Trigger, Node: -1, Total: &total, Counts: q.Counts}
	if alias := "irq:" + itoa(q.Number); alias != r.Name {
		r.Aliases = []string{alias}
	}
	if r.Source == "" {
		r.Source = "irq"
	}
	for _, h := range q.Handlers {
		r.Handlers = append(r.Handlers, h.Name)
	}
	for _, h := range q.Holders {
		r.Holders = append(r.Holders, h.Holder)
	}
	if r.Held() {
		r.State = irq.StateConnected
	}
	if a := q.Affinity; a != nil {
		r.CPUs, r.Asked, r.Node = a.Effective, a.Asked, a.Node
		if r.CPUs == nil {
			r.CPUs = a.Asked
		}
	}
	if r.Node < 0 && q.Device != nil {
		r.Node = q.Device.Node
	}
	return r
}
