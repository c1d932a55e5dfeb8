package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/doctor"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/metrics"
)

func (a *app) metricsCommand() *cobra.Command {
	var perCPU, findings bool
	var output string
	c := &cobra.Command{
		Use:     "metrics",
		GroupID: groupMore,
		Short:   "the machine's interrupts for Prometheus, as a text file for node_exporter",
		Long: `Metrics prints what there is now in Prometheus' text format. With --output it replaces a file at once, as node_exporter's
textfile collector wants it: run it from a timer. ivtd itself serves its own with --listen.`,
		Example: "  ivt metrics --output /var/lib/prometheus/node-exporter/ivt.prom",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			parts := host.PartList
			if perCPU {
				parts |= host.PartCounts
			}
			p, _, err := a.picture(c.Context(), parts)
			if err != nil {
				return err
			}
			var found []metrics.Finding
			if findings {
				if found, err = a.findings(c); err != nil {
					return err
				}
			}
			collector := metrics.Machine(p, found, perCPU)
			if output == "" {
				return metrics.Write(a.out, collector)
			}
			return replaceFile(output, func(f *os.File) error { return metrics.Write(f, collector) })
		},
	}
	c.Flags().BoolVar(&perCPU, "per-cpu", false, "each CPU's count, too: interrupts times CPUs series")
	c.Flags().BoolVar(&findings, "findings", false, "what ivt doctor finds, too (looks for a second)")
	c.Flags().StringVar(&output, "output", "", "replace this `file` at once")
	return c
}

func (a *app) findings(c *cobra.Command) ([]metrics.Finding, error) {
	root, err := a.machine()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	report, err := doctor.Run(c.Context(), root, doctor.Options{})
	if err != nil {
		return nil, err
	}
	var found []metrics.Finding
	for _, f := range report.Findings {
		found = append(found, metrics.Finding{ID: f.ID, Severity: f.Severity.String()})
	}
	return found, nil
}

// replaceFile writes beside a file and then takes its place, so that nobody reads half of it and a full disk leaves the old one.
func replaceFile(name string, write func(*os.File) error) (err error) {
	beside := "." + filepath.Base(name) + "-"
	defer func() {
		var path *fs.PathError
		if errors.As(err, &path) && strings.HasPrefix(filepath.Base(path.Path), beside) { // a name that nobody gave
			err = &fs.PathError{Op: "write", Path: name, Err: path.Err}
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(name), beside+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
