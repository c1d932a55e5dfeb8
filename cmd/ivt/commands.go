package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/version"
	"github.com/ivtd/ivt/irq"
)

// A named command is made when it is needed: with one of these names first on the command line, the others are not.
type named struct {
	name string
	make func(*app) *cobra.Command
}

// commonCommands are those of every system.
var commonCommands = []named{{"explain", (*app).explainCommand}, {"version", (*app).versionCommand}}

// needed returns the command that is named first, or all.
func needed(args []string) []named {
	all := slices.Concat(commonCommands, systemCommands)
	if len(args) == 0 {
		return all
	}
	if i := slices.IndexFunc(all, func(n named) bool { return n.name == args[0] }); i >= 0 {
		return all[i : i+1]
	}
	return all
}

// briefCommands answer at once and leave nothing behind. A signal ends them as it ends any program: to listen for signals
// takes two threads, and those a sixth of the time of a list.
var briefCommands = []string{"explain", "list", "show", "version", "who"}

func brief(args []string) bool { return len(args) > 0 && slices.Contains(briefCommands, args[0]) }

func (a *app) addCommands(root *cobra.Command, args []string) {
	all := needed(args)
	root.CompletionOptions.DisableDefaultCmd = len(all) == 1
	for _, n := range all {
		root.AddCommand(n.make(a))
	}
}

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "explain CODE|NAME|'log line'|-",
		GroupID: groupLook,
		Short:   "what a code or a kernel log line means, and what to do",
		Long: `Explain takes a code by number (763), hexadecimal (0x2FB), HRESULT, NTSTATUS, name or errno, or any kernel log line
about interrupts; "-" reads a whole log from standard input.`,
		Example: "  ivt explain 763\n  ivt explain EBUSY\n  dmesg | ivt explain -\n" +
			"  ivt explain 'genirq: Flags mismatch irq 16. 00002000 (mei_me) vs. 00000000 (xhci_hcd)'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			err := explain.Explain(a.out, strings.Join(args, " "), a.in, explain.Options{JSON: a.json, Refused: a.refused(c.Context())})
			if explain.IsUnknown(err) {
				return statusError{exitUsage, err}
			}
			return err
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range irq.Codes() {
				names = append(names, fmt.Sprintf("%d\t%s", uint32(c), c.Name()))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupMore,
		Short:   "which ivt this is",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.json {
				return a.document(map[string]string{"version": version.String(), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintf(a.out, "ivt %s (%s, %s/%s)\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
