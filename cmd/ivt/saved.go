//go:build linux

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/internal/term"
)

func (a *app) saveCommand() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:     "save FILE|-",
		GroupID: groupLook,
		Short:   "save this machine's interrupts for --root and diff",
		Long: `Save writes what ivt reads of this machine into one file, without secrets: no command lines or environments of
processes, no MAC addresses, serial numbers or host name. Run it as root to have the holders of all users in it, and which
vector of which CPU belongs to which interrupt (ivt list --map).`,
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
	if name == "-" && a.out.Terminal {
		return usageError{fmt.Errorf("a saved machine is binary, send it to a file or a pipe")}
	}
	if _, err := os.Lstat(name); err == nil && !force && name != "-" {
		return usageError{fmt.Errorf("%s exists; say --force to overwrite it", term.Safe(name))}
	}
	var more []host.SavedFile
	text, m, err := vectormap.Save(c.Context(), root)
	if err != nil && c.Context().Err() != nil {
		return err
	}
	if text != nil {
		more = append(more, host.SavedFile{Name: vectormap.SavedName, Data: text})
	}
	if name == "-" {
		return root.Save(c.Context(), a.out, more...)
	}
	if err := replaceFile(name, func(f *os.File) error { return root.Save(c.Context(), f, more...) }); err != nil {
		return err
	}
	return a.saved(name, m)
}

// saved says what is in the file; m is nil where CPUs have no vectors of their own.
func (a *app) saved(name string, m *vectormap.Map) error {
	if a.json {
		d := map[string]any{"saved": name}
		if m != nil {
			d["map"], d["blind"] = m.Method, m.Blind
		}
		return a.document(d)
	}
	fmt.Fprintf(a.errs, "saved; look at it with: ivt --root %s list\n", term.Safe(name))
	if m == nil {
		return nil
	}
	if m.Exact() {
		fmt.Fprintf(a.errs, "the CPUs' vectors are in it, by %s: ivt --root %s list --map\n", m.Method, term.Safe(name))
		return nil
	}
	fmt.Fprintln(a.errs, "the CPUs' vectors are not in it, only which CPU each interrupt goes to:")
	for _, b := range m.Blind {
		if b.Method != m.Method {
			fmt.Fprintln(a.errs, "  "+b.String())
		}
	}
	return nil
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
