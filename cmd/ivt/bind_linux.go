package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host/bind"
	"github.com/ivtd/ivt/irq"
)

type planner func(ctx context.Context, device string, o bind.Options) (*bind.Plan, error)

func (a *app) bindCommand() *cobra.Command {
	c := a.planCommand("bind DEVICE [DRIVER]", "give a PCI device to another driver (default vfio-pci); shows first what uses it",
		`Bind gives a PCI function to another driver with driver_override, with your rights: usually as root. It shows first what the
function is used for (mounted disks, interfaces that are up, consoles, other functions of its IOMMU group, connections of
ivt) and refuses with 764 if that is anything, unless --force. If a step fails everything is put back; ivt unbind undoes it.`,
		cobra.RangeArgs(1, 2), bind.Bind)
	c.Example = "  sudo ivt bind --dry-run 0000:3b:00.0\n  sudo ivt bind 0000:3b:00.0\n  sudo ivt bind --persist 3b:00.0 uio_pci_generic"
	c.Flags().Lookup("persist").Usage = "again at the next boot"
	return c
}

func (a *app) unbindCommand() *cobra.Command {
	c := a.planCommand("unbind DEVICE", "give a PCI device back to the driver that it had",
		"Unbind puts back what ivt bind changed. A device that was given away otherwise goes to the driver that the kernel chooses; one that\nits own driver has is left alone (87).",
		cobra.ExactArgs(1), bind.Unbind)
	c.Flags().Lookup("persist").Usage = "no more at the next boot"
	return c
}

func (a *app) planCommand(use, short, long string, args cobra.PositionalArgs, plan planner) *cobra.Command {
	var o bind.Options
	var dryRun bool
	c := &cobra.Command{
		Use: use, GroupID: groupChange, Short: short, Long: long, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				o.Driver = args[1]
			}
			o.Root, o.Connected = a.root, a.connected
			return a.carryOut(c.Context(), args[0], o, plan, dryRun)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show each file and value that would be written, write nothing")
	c.Flags().BoolVar(&o.Force, "force", false, "although it is in use")
	c.Flags().BoolVar(&o.Group, "group", false, "every function of its IOMMU group")
	c.Flags().BoolVar(&o.Persist, "persist", false, "")
	return c
}

func (a *app) carryOut(ctx context.Context, device string, o bind.Options, plan planner, dryRun bool) error {
	p, err := plan(ctx, device, o)
	if p != nil && !a.json {
		if err := p.Write(a.out); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if !dryRun {
		if err := p.Do(ctx); err != nil {
			return err
		}
	}
	if a.json {
		return a.document(map[string]any{"plan": p, "done": !dryRun})
	}
	return a.done(map[bool]string{true: "nothing was written for", false: p.Operation + " done:"}[dryRun], device)
}

// connected asks ivtd who is connected to a source, so that nobody loses a device unasked (rule 12).
func (a *app) connected(ctx context.Context, source string) ([]irq.Conflict, error) {
	client, err := a.dialIfThere(ctx)
	if err != nil || client == nil {
		return nil, err
	}
	defer client.Close()
	var conflicts []irq.Conflict
	for v, err := range client.List(ctx, source, true) {
		if err != nil {
			return nil, err
		}
		conflicts = append(conflicts, irq.Conflict{Vector: v.Vector, Reason: irq.ReasonHeld, Holders: v.Holders})
	}
	return conflicts, nil
}
