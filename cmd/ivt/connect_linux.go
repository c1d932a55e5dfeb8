package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

type connectFlags struct {
	share, consent, wait, dryRun bool
	any, conflict                int
	kind, label, access, trigger string
	timeout, grace               time.Duration
	count                        int
}

func (a *app) connectCommand() *cobra.Command {
	var f connectFlags
	c := &cobra.Command{
		Use:     "connect VECTOR... [-- CMD ARG...]",
		GroupID: groupDriver,
		Short:   "claim vectors and print their interrupts, or become CMD with their descriptors",
		Long: `Connect claims vectors, all or none. Without CMD it prints each interrupt until Ctrl-C. With CMD it becomes CMD (the
same pid) with the descriptors as LISTEN_FDS, as socket activation does: descriptors from 3 on, LISTEN_FDNAMES with
plain names (stream0, eventfd0, unmask0, …, lifeline), IVT_VECTORS with the names of the vectors in the same order,
IVT_CONNECTION and IVT_GENERATION. The lifeline has to stay open: the connection ends with it.

Exit status with CMD: ivt's own failures are 125 (--conflict-exit-code sets the one for 763), after that it is CMD's.`,
		Example: `  ivt connect soft:demo/3
  ivt connect --any 2 soft:demo
  ivt connect --wait --timeout 30s pci:0000:3b:00.0/msix/2 -- ./driver`,
		RunE: func(c *cobra.Command, args []string) error {
			dash := c.ArgsLenAtDash()
			var command []string
			if dash >= 0 {
				args, command = args[:dash], args[dash:]
				a.withCommand = true
				if len(command) == 0 {
					return usageError{errors.New("there is no command after --")}
				}
			}
			if len(args) == 0 {
				return usageError{errors.New("which vector? try: ivt list --free")}
			}
			a.conflictExit = f.conflict
			return a.connect(c.Context(), args, command, f)
		},
		ValidArgsFunction: a.completeVectors,
	}
	c.Flags().BoolVar(&f.share, "share", false, "consent to share with others who consent")
	c.Flags().IntVar(&f.any, "any", 0, "any `N` free vectors of a source instead of named ones")
	c.Flags().StringVar(&f.kind, "type", "", "with --any: intx, msi or msix")
	c.Flags().StringVar(&f.label, "label", "", "`text` that refusals to others show")
	c.Flags().StringVar(&f.access, "access", "irq", "irq: the interrupts; device: the device's descriptors, too")
	c.Flags().BoolVar(&f.consent, "consent", false, "with --access device: others may have interrupts of it")
	c.Flags().StringVar(&f.trigger, "trigger", "", "refuse unless it is edge or level")
	c.Flags().BoolVar(&f.wait, "wait", false, "queue until it is free")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "with --wait: give up after this `time` (exit status 124)")
	c.Flags().DurationVar(&f.grace, "grace", 0, "keep the vectors this long after death for a restarted driver")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "check everything, change nothing")
	c.Flags().IntVar(&f.conflict, "conflict-exit-code", 0, "exit `status` for 763")
	c.Flags().IntVarP(&f.count, "count", "n", 0, "end after `N` interrupts")
	c.RegisterFlagCompletionFunc("access", cobra.FixedCompletions([]string{"irq", "device"}, cobra.ShellCompDirectiveNoFileComp))
	c.RegisterFlagCompletionFunc("trigger", cobra.FixedCompletions([]string{"edge", "level"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (f connectFlags) options(where []ivt.Option) []ivt.Option {
	o := append([]ivt.Option{ivt.Label(f.label), ivt.Access(irq.Access(f.access)), ivt.Trigger(irq.Trigger(f.trigger)), ivt.Grace(f.grace)}, where...)
	for _, one := range []struct {
		set    bool
		option ivt.Option
	}{{f.share, ivt.Shared()}, {f.consent, ivt.Consent()}, {f.any > 0, ivt.Any(f.any)}, {f.kind != "", ivt.Type(f.kind)}, {f.dryRun, ivt.DryRun()}} {
		if one.set {
			o = append(o, one.option)
		}
	}
	switch {
	case f.wait && f.timeout > 0:
		o = append(o, ivt.WaitFor(f.timeout))
	case f.wait:
		o = append(o, ivt.Wait())
	}
	return o
}

func (f connectFlags) check() error {
	switch {
	case f.timeout != 0 && !f.wait:
		return usageError{errors.New("--timeout is for --wait")}
	case f.kind != "" && f.any == 0:
		return usageError{errors.New("--type is for --any")}
	case f.consent && f.access != "device":
		return usageError{errors.New("--consent is for --access device")}
	case f.timeout < 0 || f.grace < 0 || f.any < 0 || f.count < 0:
		return usageError{errors.New("times and numbers cannot be negative")}
	case f.conflict < 0 || f.conflict > 255:
		return usageError{errors.New("an exit status is from 0 to 255")}
	case f.access != "irq" && f.access != "device":
		return usageError{fmt.Errorf("--access is irq or device, not %s", term.Safe(f.access))}
	case f.trigger != "" && f.trigger != "edge" && f.trigger != "level":
		return usageError{fmt.Errorf("--trigger is edge or level, not %s", term.Safe(f.trigger))}
	}
	return nil
}

func (a *app) connect(ctx context.Context, vectors, command []string, f connectFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	// A command that does not exist must not take a vector from anybody.
	if command != nil {
		if _, err := exec.LookPath(command[0]); err != nil {
			return err
		}
	}
	c, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if f.wait && a.errs.Terminal && !a.json {
		fmt.Fprintf(a.errs, "waiting for %s (Ctrl-C ends it)\n", term.Safe(fmt.Sprint(vectors)))
	}
	connection, err := c.ConnectAll(ctx, vectors, f.options(a.where())...)
	if err != nil {
		return err
	}
	switch {
	case f.dryRun && a.json:
		return a.document(map[string]any{"wouldConnect": vectors})
	case f.dryRun:
		_, err := fmt.Fprintln(a.out, "it would connect now; nothing was changed")
		return err
	case command != nil:
		return connection.Exec(command, os.Environ())
	}
	return a.printInterrupts(ctx, connection, f.count)
}

// printInterrupts prints a line for each interrupt, until Ctrl-C, the end of the connection or a number of them.
func (a *app) printInterrupts(ctx context.Context, c *ivt.Connection, most int) error {
	for _, v := range c.Vectors() {
		if a.json {
			a.document(map[string]any{"connected": v.String(), "connection": c.ID(), "generation": c.Generation()})
		} else {
			fmt.Fprintf(a.out, "connected %s as %s; Ctrl-C ends it\n", v, c.ID())
		}
	}
	seen := 0
	for i, err := range c.Interrupts(ctx) {
		if err != nil {
			if ctx.Err() != nil {
				return a.leave(c)
			}
			return err
		}
		a.printInterrupt(i)
		if seen++; seen == most {
			break
		}
	}
	return a.leave(c)
}

// leave disconnects although Ctrl-C has ended the command's context.
func (a *app) leave(c *ivt.Connection) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Disconnect(ctx)
}

func (a *app) printInterrupt(i ivt.Interrupt) {
	if a.json {
		a.document(map[string]any{"vector": i.Vector.String(), "sequence": i.Sequence, "count": i.Count, "lost": i.Lost, "rang": i.Rang, "data": i.Data})
		return
	}
	text := fmt.Sprintf("%s  %s  sequence %d  count %d", time.Now().Format("15:04:05.000"), i.Vector, i.Sequence, i.Count)
	switch {
	case i.Rang && i.Count == 0:
		text += "  (rung in doubt: look at the device)"
	case i.Lost > 0:
		text += fmt.Sprintf("  (%d lost before ivt saw them)", i.Lost)
	}
	fmt.Fprintln(a.out, text)
}
