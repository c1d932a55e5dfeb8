package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/affinity"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

func (a *app) affinityCommand() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:     "affinity VECTOR [CPUS]",
		GroupID: groupChange,
		Short:   "on which CPUs an interrupt may be handled, and on which it is; with CPUS, change it",
		Long: `Affinity shows the CPUs that were asked for and the one that is in effect, and whether the kernel manages them itself. With
CPUS (such as 0-3,8) it asks for others, with your rights, and looks what came of it.`,
		Example: "  ivt affinity 41\n  sudo ivt affinity eth0/rx-3 4-7",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			number, err := a.irqNumber(c.Context(), args[0])
			if err != nil {
				return err
			}
			o := affinity.Options{Root: a.root, Map: a.vectorMap}
			if len(args) == 1 {
				return a.showAffinity(c.Context(), number, o)
			}
			cpus, err := affinity.ParseCPUs(args[1])
			if err != nil {
				return err
			}
			set := affinity.Set
			if dryRun {
				set = affinity.Plan
			}
			change, err := set(c.Context(), number, cpus, o)
			if err != nil {
				return err
			}
			if a.json {
				return a.document(change)
			}
			return change.Write(a.out)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be written, write nothing")
	return c
}

func (a *app) showAffinity(ctx context.Context, number int, o affinity.Options) error {
	s, err := affinity.Read(ctx, number, o)
	if err != nil {
		return err
	}
	if a.json {
		return a.document(s)
	}
	return s.Write(a.out)
}

// irqNumber finds the one irq that a target means.
func (a *app) irqNumber(ctx context.Context, target string) (int, error) {
	root, err := a.machine()
	if err != nil {
		return 0, err
	}
	defer root.Close()
	m, err := root.Read(ctx, host.Options{Parts: host.PartList | host.PartDetail})
	if err != nil {
		return 0, err
	}
	irqs, err := m.Select(host.Filter{Target: target})
	if err != nil {
		return 0, err
	}
	if len(irqs) == 1 {
		return irqs[0].Number, nil
	}
	e := &irq.Error{Code: irq.ErrInvalidParameter, Operation: "affinity", Name: target, Reason: irq.ReasonMalformed,
		Detail: fmt.Sprintf("it has %d interrupts; name one", len(irqs)), Remedies: []string{"ivt list " + term.Safe(target)}}
	return 0, e
}

func (a *app) vectorMap(ctx context.Context) (*vectormap.Map, error) {
	root, err := a.machine()
	if err != nil {
		return nil, err
	}
	m, err := vectormap.Read(ctx, root, vectormap.Options{})
	return m, errors.Join(err, root.Close())
}
