package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

func (a *app) listCommand() *cobra.Command {
	f := picture.Filter{CPU: -1}
	var asMap, numbers bool
	c := &cobra.Command{
		Use:     "list [TARGET]",
		GroupID: groupLook,
		Short:   "every vector with its holder, the kernel's interrupts too",
		Long: `List shows every vector of the machine: the kernel's interrupts with their drivers, and what ivtd hands out with its
holders. TARGET is what ivt who takes, or a source such as soft:demo. --map shows instead which vector of which CPU
belongs to which interrupt, and how full each CPU is (x86-64; some methods need root).`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			target := ""
			if len(args) == 1 {
				target = args[0]
			}
			if asMap {
				return a.showMap(c.Context(), f.CPU)
			}
			return a.list(c, target, f, numbers)
		},
	}
	c.Flags().BoolVar(&f.Held, "held", false, "only those that somebody holds")
	c.Flags().BoolVar(&f.Free, "free", false, "only those that are free")
	c.Flags().IntVar(&f.PID, "pid", 0, "held by this `process`")
	c.Flags().StringVar(&f.Unit, "unit", "", "held by a process of this systemd `unit`")
	c.Flags().StringVar(&f.Driver, "driver", "", "of this `driver` or handler")
	c.Flags().IntVar(&f.CPU, "cpu", -1, "that land on this `CPU`")
	c.Flags().BoolVar(&asMap, "map", false, "the vectors of each CPU")
	c.Flags().BoolVar(&numbers, "rows", false, "architecture rows (NMI, LOC, IPI) as well")
	c.MarkFlagsMutuallyExclusive("held", "free")
	return c
}

// parts says what a list has to read: no more than it shows.
func listParts(f picture.Filter) host.Parts {
	parts := host.PartList
	if f.CPU >= 0 {
		parts |= host.PartAffinity
	}
	if f.PID != 0 || f.Unit != "" {
		parts |= host.PartHolders
	}
	return parts
}

func (a *app) list(c *cobra.Command, target string, f picture.Filter, rows bool) error {
	p, denied, err := a.picture(c.Context(), listParts(f))
	if err != nil {
		return err
	}
	chosen, err := choose(p, target, f)
	if denied != nil && errors.Is(err, irq.ErrNoSuchDevice) {
		return denied // what the kernel does not know may be ivtd's
	}
	if err != nil {
		return err
	}
	if a.json {
		p.Rows = chosen
		return a.document(p)
	}
	if err := a.showRows(chosen); err != nil {
		return err
	}
	if rows {
		a.showArchitecture(p.Machine)
	}
	a.showBlind(p.Blind)
	if len(chosen) == 0 {
		fmt.Fprintln(a.errs, "no vector fits")
		return errNobody
	}
	return nil
}

// picture reads this machine with ivtd's vectors, or a saved one. denied says why ivtd's are not in it.
func (a *app) picture(ctx context.Context, parts host.Parts) (p *picture.Picture, denied *irq.Error, err error) {
	root, err := a.machine()
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	client, denied, err := a.dialIfAllowed(ctx)
	if err != nil {
		return nil, nil, err
	}
	if client != nil {
		defer client.Close()
	}
	p, err = picture.Take(ctx, picture.From{Root: root, Client: client, Parts: parts})
	if err == nil && denied != nil {
		p.Blind = append(p.Blind, picture.Unseen(denied))
	}
	return p, denied, err
}

// choose applies target and filter. A target is a source or vector of either side, or what ivt who takes.
func choose(p *picture.Picture, target string, f picture.Filter) ([]picture.Row, error) {
	if target == "" && f == (picture.Filter{CPU: -1}) {
		return p.Rows, nil
	}
	var numbers []int
	named := func(r *picture.Row) bool {
		return r.Source == target || r.Name == target || strings.HasPrefix(r.Name, target+"/") || slices.Contains(r.Aliases, target)
	}
	if target != "" && !slices.ContainsFunc(p.Rows, func(r picture.Row) bool { return named(&r) }) {
		irqs, err := p.Machine.Select(host.Filter{Target: target})
		if err != nil {
			return nil, err
		}
		for _, q := range irqs {
			numbers = append(numbers, q.Number)
		}
	}
	chosen := []picture.Row{}
	for i := range p.Rows {
		r := &p.Rows[i]
		byNumber := (r.IRQ != 0 || r.Timer) && slices.Contains(numbers, r.IRQ)
		if (target == "" || named(r) || byNumber) && f.Match(r) {
			chosen = append(chosen, *r)
		}
	}
	return chosen, nil
}

func (a *app) showRows(rows []picture.Row) error {
	t := term.Table{Columns: []term.Column{{Head: "IRQ", Right: true, Fixed: true}, {Head: "VECTOR", Min: 16}, {Head: "STATE", Fixed: true},
		{Head: "COUNT", Right: true, Fixed: true}, {Head: "CPUS", Min: 6}, {Head: "HOLDER", Min: 12}, {Head: "DEVICE"}}}
	for i := range rows {
		r := &rows[i]
		number, total, device := "", "", r.Device
		if r.IRQ != 0 || r.Timer {
			number = strconv.Itoa(r.IRQ)
		}
		if r.Total != nil {
			total = strconv.FormatUint(*r.Total, 10)
		}
		if strings.HasPrefix(r.Name, device) {
			device = ""
		}
		t.StyledRow(rowStyle(r), number, r.Name, stateText(r), total, r.CPUs.String(), r.Who(), device)
	}
	if t.Len() == 0 {
		return nil
	}
	return t.Write(a.out)
}

func stateText(r *picture.Row) string {
	text := string(r.State)
	switch {
	case r.Storm:
		text = "storm"
	case r.Masked:
		text = "masked"
	}
	if r.Waiting > 0 {
		text += fmt.Sprintf(" +%d", r.Waiting)
	}
	return text
}

func rowStyle(r *picture.Row) string {
	switch {
	case r.Storm || r.State == irq.StateUnavailable:
		return term.Red
	case r.Masked || r.State == irq.StateOrphaned || r.State == irq.StateDraining:
		return term.Yellow
	case r.Managed && r.Held():
		return term.Green
	case !r.Held():
		return term.Dim
	}
	return ""
}

func (a *app) showArchitecture(m *host.Machine) {
	t := term.Table{Columns: []term.Column{{Head: "ROW", Fixed: true}, {Head: "COUNT", Right: true, Fixed: true}, {Head: "WHAT"}}}
	for _, r := range append(slices.Clone(m.Rows), m.Softirqs...) {
		t.Row(r.Label, fmt.Sprint(r.Total), r.Description)
	}
	if t.Len() > 0 {
		fmt.Fprintln(a.out)
		t.Write(a.out)
	}
}
