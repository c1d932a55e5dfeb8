package picture

import (
	"context"
	"slices"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host"
)

// A Sampler takes pictures of one machine again and again, cheaply: it reads /proc/interrupts each time, and devices,
// drivers and affinity only when that shows other interrupts than before, or after Refresh. Of ivtd it asks for what
// is held. It is for one goroutine at a time; pictures that it returned are not changed any more.
type Sampler struct {
	Root    *host.Root
	Dial    func(context.Context) (*ivt.Client, error) // nil: the kernel's side alone; nil, nil: nobody is there
	Parts   host.Parts
	Refresh time.Duration // 0: 30 s
	Apart   time.Duration // a picture sooner after the last reading has the kernel's side of that one, and its rates; 0: each reads anew

	now, before *scan
	machine     *host.Machine
	rows        []Row
	read        time.Time // when the machine was
	ours        ours
}

// A Hit is how often a row fired on a CPU.
type Hit struct {
	Column int // of Machine.Columns
	Rate   float64
}

// A CPU is one column of a picture of a Sampler.
type CPU struct {
	Number int
	Node   int     // NUMA node, -1 if none is known
	Rate   float64 // interrupts with numbers a second
}

const wholeEach = 30 * time.Second

// Next takes a picture. From the second one on rows have rates and hits. ivtd's absence is in Blind and
// leaves Daemon nil; the error is for a machine that cannot be read, and for ctx.
func (s *Sampler) Next(ctx context.Context) (*Picture, error) {
	if err := s.scan(ctx); err != nil {
		return nil, err
	}
	p := &Picture{Taken: s.now.taken, Machine: s.machine, Blind: slices.Clip(s.machine.Blind), Rows: slices.Clone(s.rows)}
	if !s.Root.Live() {
		p.Taken = s.machine.Taken // zero if nobody knows
	}
	s.count(p)
	if s.Dial != nil {
		s.ours.join(ctx, p, s)
	}
	return p, ctx.Err()
}

// scan reads the kernel's side, if it is time to.
func (s *Sampler) scan(ctx context.Context) error {
	if s.now == nil {
		s.now, s.before = new(scan), new(scan)
	}
	if time.Since(s.now.taken) < s.Apart {
		return nil
	}
	s.now, s.before = s.before, s.now
	same, err := s.now.read(s.Root, s.before)
	if err == nil && (!same || s.old(s.read)) {
		err = s.whole(ctx)
	}
	if err != nil {
		s.now, s.before = s.before, new(scan) // the next one starts from the last that was good
	}
	return err
}

func (s *Sampler) old(t time.Time) bool {
	refresh := s.Refresh
	if refresh == 0 {
		refresh = wholeEach
	}
	return s.Root.Live() && s.now.taken.Sub(t) >= refresh
}

// whole reads what a scan does not tell.
func (s *Sampler) whole(ctx context.Context) error {
	m, err := s.Root.Read(ctx, host.Options{Parts: s.Parts})
	if err != nil {
		return err
	}
	s.machine, s.read, s.rows = m, s.now.taken, make([]Row, len(m.IRQs))
	for i := range m.IRQs {
		s.rows[i] = fromIRQ(&m.IRQs[i])
	}
	return nil
}

// count puts the scan's totals and rates into the picture.
func (s *Sampler) count(p *Picture) {
	r, known := s.now.since(s.before)
	p.CPUs = s.cpus(r.cpus)
	totals := slices.Clone(s.now.totals)
	for i := range p.Rows {
		row := &p.Rows[i]
		j := s.now.find(row.IRQ, i)
		if j < 0 {
			continue
		}
		row.Total = &totals[j]
		if known && r.rate[j] >= 0 {
			row.Rate, row.Hits = &r.rate[j], r.hits[j]
		}
	}
}

func (s *Sampler) cpus(rates []float64) []CPU {
	cpus := make([]CPU, len(s.now.cpus))
	for i, number := range s.now.cpus {
		cpus[i] = CPU{Number: number, Node: -1}
		if rates != nil {
			cpus[i].Rate = rates[i]
		}
		for _, n := range s.machine.CPUs.Nodes {
			if n.CPUs.Has(number) {
				cpus[i].Node = n.Number
				break
			}
		}
	}
	return cpus
}

// Close hangs up.
func (s *Sampler) Close() { s.ours.hangUp() }
