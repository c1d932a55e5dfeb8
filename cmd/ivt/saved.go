//go:build linux

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/term"
)

func (a *app) saveCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:     "save FILE|-",
		GroupID: groupLook,
		Short:   "save this machine's interrupts for --root and diff",
		Long: `Save writes what ivt reads of this machine into one file, without secrets: no command lines or environments of
processes, no MAC addresses, serial numbers or host name. Run it as root to have the holders of all users in it.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.save(c, args[0], force) },
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite a file that exists")
	return c
}

func (a *app) save(c *cobra.Command, name string, force bool) error {
	root, err := a.machine()
	if err != nil {
		return err
	}
	defer root.Close()
	if name == "-" {
		if a.out.Terminal {
			return usageError{fmt.Errorf("a saved machine is binary, send it to a file or a pipe")}
		}
		return root.Save(c.Context(), a.out)
	}
	if _, err := os.Lstat(name); err == nil && !force {
		return usageError{fmt.Errorf("%s exists; say --force to overwrite it", term.Safe(name))}
	}
	if err := replaceFile(name, func(f *os.File) error { return root.Save(c.Context(), f) }); err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.errs, "saved; look at it with: ivt --root %s list\n", term.Safe(name))
		return nil
	}
	return a.document(map[string]string{"saved": name})
}

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "diff A [B]",
		GroupID: groupLook,
		Short:   "what moved, appeared, vanished between two saved machines, or one and now",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			var m [2]*host.Machine
			for i := range m {
				name := ""
				if i < len(args) {
					name = args[i]
				}
				root, err := host.Open(name)
				if err != nil {
					return err
				}
				m[i], err = root.Read(c.Context(), host.Options{Parts: host.PartAll &^ host.PartNames})
				root.Close()
				if err != nil {
					return err
				}
			}
			d := host.Diff(m[0], m[1])
			if a.json {
				return a.document(d)
			}
			return a.showDelta(d)
		},
	}
}

func (a *app) showDelta(d *host.Delta) error {
	for _, n := range d.Notes {
		fmt.Fprintln(a.out, "note: "+term.Safe(n))
	}
	if len(d.Changes) == 0 {
		fmt.Fprintln(a.out, "nothing moved, appeared or vanished")
	} else {
		t := term.Table{Columns: []term.Column{{Head: "WHAT", Fixed: true}, {Head: "IRQ", Right: true, Fixed: true}, {Head: "NAME"}, {Head: "BEFORE"}, {Head: "AFTER"}}}
		for _, c := range d.Changes {
			number := ""
			if c.IRQ >= 0 {
				number = fmt.Sprint(c.IRQ)
			}
			t.Row(c.What, number, c.Name, c.Before, c.After)
		}
		if err := t.Write(a.out); err != nil {
			return err
		}
	}
	if d.Rates == nil {
		return nil
	}
	t := term.Table{Columns: []term.Column{{Head: "PER SECOND", Right: true, Fixed: true}, {Head: "IRQ", Right: true, Fixed: true}, {Head: "NAME"}}}
	for _, r := range d.Rates.IRQs {
		if r.Total > 0 {
			t.Row(fmt.Sprintf("%.1f", r.Total), fmt.Sprint(r.IRQ), r.Label)
		}
	}
	if t.Len() == 0 {
		return nil
	}
	fmt.Fprintf(a.out, "\nrates over %s\n", d.Rates.Elapsed.Round(1e6))
	return t.Write(a.out)
}
