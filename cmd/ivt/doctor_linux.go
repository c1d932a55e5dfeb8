package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	var o doctor.Options
	failOn := "serious"
	c := &cobra.Command{
		Use:     "doctor",
		GroupID: groupLook,
		Short:   "what is wrong with this machine's interrupts, why, and what to do",
		Long: `Doctor looks at the machine and its kernel log and says what is wrong with the interrupts, with evidence and remedies,
and what it could not see. It changes nothing. Exit status 8 if a finding is at or above --fail-on.`,
		Example: "  ivt doctor\n  ivt doctor --log dmesg.txt\n  journalctl -k -o export | ivt doctor --log -\n  ivt --root saved.tar.gz doctor",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			severity, err := doctor.ParseSeverity(failOn)
			if err != nil {
				return usageError{fmt.Errorf("--fail-on: %w", err)}
			}
			root, err := a.machine()
			if err != nil {
				return err
			}
			defer root.Close()
			o.Stdin = a.in
			report, err := doctor.Run(c.Context(), root, o)
			if err != nil {
				return err
			}
			if a.json {
				err = a.document(report)
			} else {
				err = report.WriteText(a.out)
			}
			if err == nil && report.Reaches(severity) {
				return statusError{status: exitFindings}
			}
			return err
		},
	}
	c.Flags().StringVar(&o.Log, "log", "", "read this kernel log: `FILE|-` (default: /dev/kmsg where readable)")
	c.Flags().StringVar(&failOn, "fail-on", failOn, "exit with 8 from this `severity` on")
	c.Flags().DurationVar(&o.Sample, "sample", 0, "`time` between two looks, for rates (default 1s; negative: one look)")
	c.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions(doctor.Severities(), cobra.ShellCompDirectiveNoFileComp))
	return c
}
