package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/top"
)

func (a *app) topCommand() *cobra.Command {
	var once bool
	var interval time.Duration
	c := &cobra.Command{
		Use:     "top",
		GroupID: groupLook,
		Short:   "rates, holders and states in this terminal, live",
		Long: `Top shows every vector with its rate, holder and state, as it changes: sorted, filtered as you type (/), folded by device,
NUMA node or CPU (f), frozen (Space), with all about one vector (Enter); ? has the keys. It works without ivtd, comes back
to one that was restarted, and with --root shows a saved machine. In a pipe, with --once and with --json it prints the same
columns once, with rates over one interval.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.top(c.Context(), once, interval) },
	}
	c.Flags().BoolVar(&once, "once", false, "print once and end")
	c.Flags().DurationVar(&interval, "interval", time.Second, "`time` between two pictures")
	return c
}

func (a *app) top(ctx context.Context, once bool, interval time.Duration) error {
	if err := top.CheckInterval(interval); err != nil {
		return err
	}
	if a.socket != "" || a.user || a.system { // that ivtd is meant: say at once if it is not there
		c, err := a.dialIfThere(ctx)
		if err != nil {
			return err
		}
		if c != nil {
			c.Close()
		}
	}
	root, err := a.machine()
	if err != nil {
		return err
	}
	defer root.Close()
	feed := top.NewMachine(root, a.topDial())
	defer feed.Close()
	switch {
	case a.json:
		return top.JSON(ctx, feed, interval, a.out)
	case once || !a.out.Terminal:
		blind, err := top.Once(ctx, feed, interval, a.out)
		if err == nil {
			a.showBlind(blind)
		}
		return err
	}
	return top.Run(ctx, feed, interval)
}

// topDial connects to ivtd again and again; a saved machine has none, and that nobody is there is no error.
func (a *app) topDial() func(context.Context) (*ivt.Client, error) {
	if a.root != "" {
		return nil
	}
	return func(ctx context.Context) (*ivt.Client, error) {
		c, err := ivt.Dial(ctx, a.where()...)
		if errors.Is(err, ivt.ErrNoDaemon) {
			return nil, nil
		}
		return c, err
	}
}
