package picture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

// A Picture is all vectors of a machine at one moment.
type Picture struct {
	Taken   time.Time     `json:"taken"`
	Machine *host.Machine `json:"-"`
	Daemon  *ivt.Status   `json:"ivtd,omitempty"` // nil without ivtd
	Rows    []Row         `json:"vectors"`
	Blind   []host.Blind  `json:"blind,omitempty"`
	CPUs    []CPU         `json:"-"` // of a Sampler only, one for each column of Machine
}

// Ours is Blind.What where ivtd does not answer.
const Ours = "vectors that ivtd hands out"

// Nobody is Blind.Why where no ivtd runs.
const Nobody = "nobody answers"

// Unseen says what is missing where ivtd does not answer, why, and what would reveal it.
func Unseen(err error) host.Blind {
	b := host.Blind{What: Ours, Why: err.Error(), Cure: "is ivtd running? ivtd --help"}
	var refusal *irq.Error
	if errors.As(err, &refusal) && refusal.Code == irq.ErrAccessDenied {
		b.Why, b.Cure = refusal.Detail, ""
		if len(refusal.Remedies) > 0 {
			b.Cure = refusal.Remedies[0]
		}
	}
	return b
}

// From says where a picture is taken.
type From struct {
	Root   *host.Root
	Client *ivt.Client // nil: the kernel's side alone
	Parts  host.Parts
	Source string // only this source of ivtd's; empty: all
}

// Take reads both sides. When ivtd does not answer any more that is in Blind, and the kernel's side is there.
func Take(ctx context.Context, f From) (*Picture, error) {
	m, err := f.Root.Read(ctx, host.Options{Parts: f.Parts})
	if err != nil {
		return nil, err
	}
	p := &Picture{Taken: m.Taken, Machine: m, Blind: m.Blind, Rows: make([]Row, 0, len(m.IRQs))}
	if p.Taken.IsZero() {
		p.Taken = time.Now()
	}
	for i := range m.IRQs {
		p.Rows = append(p.Rows, fromIRQ(&m.IRQs[i]))
	}
	if f.Client != nil {
		if err := p.ask(ctx, f); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			p.Blind = append(p.Blind, Unseen(err))
		}
	}
	return p, nil
}

func (p *Picture) ask(ctx context.Context, f From) error {
	status, err := f.Client.Status(ctx)
	if err != nil {
		return err
	}
	p.Daemon = &status
	index := p.names()
	for v, err := range f.Client.List(ctx, f.Source, false) {
		if err != nil {
			var refusal *irq.Error
			if errors.As(err, &refusal) && f.Source != "" && refusal.Code == irq.ErrNoSuchDevice {
				return nil
			}
			return err
		}
		p.join(index, fromInfo(&v))
	}
	return nil
}

// names says which row has a name.
func (p *Picture) names() map[string]int {
	index := map[string]int{}
	for i := range p.Rows {
		index[p.Rows[i].Name] = i
		for _, alias := range p.Rows[i].Aliases {
			index[alias] = i
		}
	}
	return index
}

// join adds a row of ivtd's, to that of the same vector if the kernel has one.
func (p *Picture) join(index map[string]int, row Row) {
	at, known := index[row.Name]
	for _, alias := range row.Aliases {
		if !known {
			at, known = index[alias]
		}
	}
	if known {
		p.Rows[at] = merge(p.Rows[at], row)
	} else {
		p.Rows = append(p.Rows, row)
	}
}

// fromInfo makes the row of a vector that ivtd hands out.
func fromInfo(v *irq.Info) Row {
	r := Row{Name: v.Vector.String(), State: v.State, Holders: v.Holders, Managed: true, Source: v.Vector.Source, Trigger: string(v.Trigger),
		Delivery: v.Delivery, Shareable: v.Shareable, Masked: v.Masked, Storm: v.Storm, Waiting: v.Waiting, Node: -1, Reason: v.Detail}
	if v.Counted {
		total := v.Arrived
		r.Total = &total
	}
	for _, a := range v.Aliases {
		r.Aliases = append(r.Aliases, a.String())
		if a.Source == "irq" {
			r.IRQ = a.Index
		}
	}
	return r
}

// merge joins what the kernel and ivtd know of one vector: who holds it is ivtd's word, the rest is the kernel's.
func merge(kernel, ours Row) Row {
	r := kernel
	r.State, r.Managed, r.Delivery, r.Shareable, r.Masked, r.Storm, r.Waiting, r.Reason = ours.State, true, ours.Delivery, ours.Shareable, ours.Masked, ours.Storm, ours.Waiting, ours.Reason
	if ours.Held() {
		r.Holders = ours.Holders
	}
	if r.Name != ours.Name {
		r.Aliases = append(slices.DeleteFunc(slices.Clone(r.Aliases), func(a string) bool { return a == ours.Name }), r.Name)
		r.Name = ours.Name
	}
	if r.Trigger == "" {
		r.Trigger = ours.Trigger
	}
	return r
}

// Rates fills in the rates of p from the difference to an earlier picture of the same machine.
func (p *Picture) Rates(before *Picture) {
	elapsed := p.Taken.Sub(before.Taken).Seconds()
	if elapsed <= 0 {
		return
	}
	if set, err := host.Rates(before.Machine, p.Machine); err == nil {
		p.kernelRates(set)
	}
	former := map[string]*Row{}
	for i := range before.Rows {
		if r := &before.Rows[i]; r.Managed && r.Total != nil {
			former[r.Name] = r
		}
	}
	for i := range p.Rows {
		r := &p.Rows[i]
		if f := former[r.Name]; f != nil && r.Rate == nil && r.Total != nil && *r.Total >= *f.Total {
			rate := float64(*r.Total-*f.Total) / elapsed
			r.Rate = &rate
		}
	}
}

func (p *Picture) kernelRates(set *host.RateSet) {
	byNumber := map[int]*host.Rate{}
	for i := range set.IRQs {
		byNumber[set.IRQs[i].IRQ] = &set.IRQs[i]
	}
	for i := range p.Rows {
		r := &p.Rows[i]
		if rate := byNumber[r.IRQ]; rate != nil && (r.IRQ != 0 || r.Timer) && !rate.Restarted {
			r.Rate, r.PerCPU = &rate.Total, rate.PerCPU
		}
	}
}

// Filter chooses rows; every set field must hold.
type Filter struct {
	Held, Free bool
	PID        int
	Unit       string
	Driver     string
	CPU        int // -1: any
	Text       string
}

// Match reports whether the filter chooses the row.
func (f Filter) Match(r *Row) bool {
	switch {
	case f.Held && !r.Held(), f.Free && r.State != irq.StateFree, f.CPU >= 0 && !r.CPUs.Has(f.CPU):
		return false
	case f.PID != 0 && !slices.ContainsFunc(r.Holders, func(h irq.Holder) bool { return h.PID == f.PID }):
		return false
	case f.Unit != "" && !slices.ContainsFunc(r.Holders, func(h irq.Holder) bool { return h.Unit == f.Unit || h.Unit == f.Unit+".service" }):
		return false
	case f.Driver != "" && !r.driven(f.Driver):
		return false
	}
	return f.Text == "" || r.contains(strings.ToLower(f.Text))
}

func (r *Row) driven(name string) bool {
	return strings.Contains(r.Driver, name) || slices.ContainsFunc(r.Handlers, func(h string) bool { return strings.Contains(h, name) })
}

func (r *Row) contains(text string) bool {
	for _, s := range append([]string{r.Name, r.Device, r.Driver, r.Who(), string(r.State), r.Chip}, append(r.Aliases, r.Handlers...)...) {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	for _, h := range r.Holders {
		if strings.Contains(strings.ToLower(fmt.Sprint(h.Unit, h.Label, h.PID)), text) {
			return true
		}
	}
	return false
}
