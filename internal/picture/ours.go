package picture

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
)

// ours is what a Sampler knows of ivtd's vectors. All are asked for once, then those that are not free.
type ours struct {
	client *ivt.Client
	status ivt.Status
	list   []irq.Info
	index  map[irq.Vector]int
	asked  time.Time // for all
	counts map[string]counted
}

type counted struct {
	arrived uint64
	at      time.Time
	rate    *float64
}

// patience is how long ivtd may take to answer before it counts as lost.
const patience = 2 * time.Second

var errNobody = errors.New(Nobody)

func (o *ours) join(ctx context.Context, p *Picture, s *Sampler) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := o.ask(ctx, s); err != nil {
		o.hangUp()
		p.Blind = append(p.Blind, Unseen(err))
		return
	}
	status := o.status
	p.Daemon = &status
	index := p.names()
	for i := range o.list {
		p.join(index, fromInfo(&o.list[i]))
	}
	o.rates(p)
}

func (o *ours) ask(ctx context.Context, s *Sampler) (err error) {
	if o.client == nil {
		if o.client, err = s.Dial(ctx); err == nil && o.client == nil {
			err = errNobody
		}
		if err != nil {
			return err
		}
		o.list = nil
	}
	status, err := o.client.Status(ctx)
	if err != nil {
		return err
	}
	same := o.list != nil && status.Instance == o.status.Instance && status.Vectors == o.status.Vectors && slices.Equal(status.Sources, o.status.Sources)
	o.status = status
	if !same || s.old(o.asked) {
		o.asked = s.now.taken
		return o.all(ctx)
	}
	return o.held(ctx)
}

func (o *ours) all(ctx context.Context) error {
	list, index := []irq.Info{}, map[irq.Vector]int{}
	for v, err := range o.client.List(ctx, "", false) {
		if err != nil {
			return err
		}
		index[v.Vector] = len(list)
		list = append(list, v)
	}
	o.list, o.index = list, index
	return nil
}

// held asks for what is not free. What was and is not there any more is free now.
func (o *ours) held(ctx context.Context) error {
	list := make([]irq.Info, len(o.list))
	for i, v := range o.list {
		if v.State != irq.StateFree {
			v.State, v.Holders, v.Overdue, v.Masked, v.Storm, v.Waiting, v.Reason, v.Detail = irq.StateFree, nil, nil, false, false, 0, "", ""
		}
		list[i] = v
	}
	for v, err := range o.client.List(ctx, "", true) {
		if err != nil {
			return err
		}
		if i, ok := o.index[v.Vector]; ok {
			list[i] = v
		} else {
			return o.all(ctx)
		}
	}
	o.list = list
	return nil
}

// rates of what ivtd counts; the kernel's counts have theirs.
func (o *ours) rates(p *Picture) {
	before := o.counts
	o.counts = make(map[string]counted)
	for i := range p.Rows {
		r := &p.Rows[i]
		if !r.Managed || r.IRQ != 0 || r.Total == nil {
			continue
		}
		c := counted{arrived: *r.Total, at: p.Taken}
		switch f, ok := before[r.Name]; {
		case ok && f.at.Equal(p.Taken):
			c = f // no time has passed: see Apart
		case ok && *r.Total >= f.arrived && p.Taken.After(f.at):
			rate := float64(*r.Total-f.arrived) / p.Taken.Sub(f.at).Seconds()
			c.rate = &rate
		}
		r.Rate, o.counts[r.Name] = c.rate, c
	}
}

func (o *ours) hangUp() {
	if o.client != nil {
		o.client.Close()
	}
	o.client, o.list = nil, nil
}
