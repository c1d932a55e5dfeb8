package host

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/ivtd/ivt/internal/host/interrupts"
	"github.com/ivtd/ivt/irq"
)

// A reading is one call of Root.Read.
type reading struct {
	*Root
	*Machine
	ctx    context.Context
	only   []int
	byIRQ  map[int]*Device   // MSI and MSI-X
	byLine map[int][]*Device // devices wired to a line
	denied map[string]int    // files that may not be read, by what they would show
	users  map[int]string    // of /etc/passwd, once it was needed
	uios   map[string]string // UIO devices by the name of their handler
	lines  []GPIOLine        // once they were needed
	chips  []string          // GPIO chips, once they were needed
	// extra are paths of descriptors to look for, scanned is what was found.
	extra   []string
	scanned *scan
}

// Read takes a picture. A missing or unreadable part is in Machine.Blind; the error is for a machine
// whose /proc/interrupts cannot be read at all, and for ctx.
func (r *Root) Read(ctx context.Context, o Options) (*Machine, error) {
	g := r.reading(ctx, o)
	if err := g.run(); err != nil {
		return nil, err
	}
	return g.Machine, nil
}

// IRQ reads one irq with the given parts. One that the kernel does not have is irq.ErrNoSuchDevice.
func (r *Root) IRQ(ctx context.Context, number int, parts Parts) (*IRQ, error) {
	m, err := r.Read(ctx, Options{Parts: parts | PartDescriptors, Only: []int{number}})
	if err != nil {
		return nil, err
	}
	if q := m.IRQ(number); q != nil {
		return q, nil
	}
	return nil, noSuchIRQ(r.name, number)
}

// IRQHolder returns who holds one irq, for a refusal: the processes behind VFIO, UIO or GPIO, otherwise
// the kernel driver. It is empty if nobody requested the irq; irq.ErrNoSuchDevice if the kernel has no such irq.
func (r *Root) IRQHolder(ctx context.Context, number int) ([]irq.Holder, error) {
	q, err := r.IRQ(ctx, number, PartDevices|PartHolders)
	if err != nil {
		return nil, err
	}
	holders := make([]irq.Holder, len(q.Holders))
	for i, h := range q.Holders {
		holders[i] = h.Holder
	}
	return holders, nil
}

func noSuchIRQ(machine string, number int) error {
	return &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "look up", Vector: irq.Vector{Source: "irq", Index: number},
		Reason: irq.ReasonNoSuchSource, Detail: machine + " has no irq " + strconv.Itoa(number), Remedies: []string{"ivt list shows the irqs there are"}}
}

func (r *Root) reading(ctx context.Context, o Options) *reading {
	g := &reading{Root: r, ctx: ctx, only: o.Only, byIRQ: map[int]*Device{}, byLine: map[int][]*Device{}, denied: map[string]int{}}
	g.Machine = &Machine{Parts: o.Parts.complete(), Taken: r.taken, Kernel: r.textOr("proc/sys/kernel/osrelease")}
	if r.Live() {
		g.Taken = time.Now()
	}
	return g
}

// run reads the parts in the order in which they build on each other.
func (g *reading) run() error {
	table, err := g.table("proc/interrupts", g.Parts&PartCounts != 0)
	if err != nil {
		return g.explainNoTable(err)
	}
	g.fill(table)
	for _, step := range []struct {
		parts Parts
		read  func()
	}{
		{PartDescriptors, g.descriptors}, // first: it adds irqs
		{PartDevices, g.devices},
		{PartDetail, g.details},
		{^Parts(0), g.attach},
		{PartNames, g.deviceNames},
		{PartAffinity, g.affinities},
		{PartSpurious, g.spurious},
		{PartSystem, g.system},
		{PartThreads | PartHolders, g.processes},
	} {
		if g.Parts&step.parts == 0 && step.parts != ^Parts(0) {
			continue
		}
		if err := g.ctx.Err(); err != nil {
			return err
		}
		step.read()
	}
	g.explainDenied()
	return g.ctx.Err()
}

func (g *reading) explainNoTable(err error) error {
	e := &irq.Error{Code: irq.ErrInvalidParameter, Operation: "read machine", Name: g.name, Reason: irq.ReasonMalformed,
		Detail: "its /proc/interrupts cannot be read", Err: err}
	if errors.Is(err, fs.ErrPermission) {
		e.Code, e.Reason = irq.ErrAccessDenied, irq.ReasonDenied
		e.Remedies = []string{"run it as root, or mount /proc without restrictions"}
	}
	return e
}

// fill makes IRQs and Rows of the table. Handlers and holders of all irqs share a few allocations.
func (g *reading) fill(t *interrupts.Table) {
	g.Columns, g.Problems = t.CPUs, t.Problems
	g.CPUs.Online = NewCPUSet(t.CPUs...)
	g.IRQs = make([]IRQ, 0, len(t.Rows))
	names := make([]string, 0, 8)
	handlers := make([]Handler, 0, len(t.Rows)+8)
	for i := range t.Rows {
		row := &t.Rows[i]
		if row.Number < 0 {
			g.Rows = append(g.Rows, archRow(row))
			continue
		}
		f := interrupts.ParseText(row.Text)
		names = interrupts.SplitActions(names[:0], f.Actions, g.sysfsActions(row.Number, f.Actions))
		start := len(handlers)
		for _, name := range names {
			handlers = append(handlers, Handler{Name: name})
		}
		g.IRQs = append(g.IRQs, IRQ{Number: row.Number, Counts: row.Counts, Total: row.Total, Misaligned: row.Misaligned,
			Chip: f.Chip, HWIRQ: f.HWIRQ, Flow: f.Flow, Trigger: f.Trigger, Index: -1,
			Handlers: handlers[start:len(handlers):len(handlers)]})
	}
	g.sortIRQs()
	g.Arch = g.arch()
}

// sortIRQs orders by number. The kernel writes them so; a file that says one twice keeps the first.
func (g *reading) sortIRQs() {
	byNumber := func(a, b IRQ) int { return a.Number - b.Number }
	if !slices.IsSortedFunc(g.IRQs, byNumber) {
		slices.SortStableFunc(g.IRQs, byNumber)
	}
	before := len(g.IRQs)
	g.IRQs = slices.CompactFunc(g.IRQs, func(a, b IRQ) bool { return a.Number == b.Number })
	if n := before - len(g.IRQs); n > 0 {
		g.Problems = append(g.Problems, interrupts.Problem{Reason: strconv.Itoa(n) + " irqs are there twice; the first of each is shown"})
	}
}

func archRow(row *interrupts.Row) ArchRow {
	return ArchRow{Label: row.Label, Description: row.Text, Counts: row.Counts, Total: row.Total, PerCPU: !row.Single}
}

// wanted reports whether per-irq files of q are to be read.
func (g *reading) wanted(q *IRQ) bool { return g.only == nil || slices.Contains(g.only, q.Number) }

// eachIRQ calls f for the irqs whose files are wanted, until ctx ends.
func (g *reading) eachIRQ(f func(q *IRQ)) {
	for i := range g.IRQs {
		if g.ctx.Err() != nil {
			return
		}
		if g.wanted(&g.IRQs[i]) {
			f(&g.IRQs[i])
		}
	}
}
