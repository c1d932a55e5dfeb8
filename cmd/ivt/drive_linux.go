package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

func (a *app) raiseCommand() *cobra.Command {
	n := uint64(1)
	c := &cobra.Command{
		Use:     "raise VECTOR",
		GroupID: groupDriver,
		Short:   "ring a doorbell, or self-test a device's vector through the kernel",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if n == 0 {
				return usageError{errors.New("-n is from 1")}
			}
			client, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			if err := client.Raise(c.Context(), args[0], n); err != nil {
				return err
			}
			return a.done("raised", args[0])
		},
		ValidArgsFunction: a.completeVectors,
	}
	c.Flags().Uint64VarP(&n, "number", "n", 1, "raise it `N` times")
	return c
}

// done says in the form that was asked for that a change was made.
func (a *app) done(what, target string) error {
	if a.json {
		return a.document(map[string]string{"done": what, "target": target})
	}
	if a.out.Terminal {
		fmt.Fprintf(a.out, "%s %s\n", what, term.Safe(target))
	}
	return nil
}

// An action is done to each connection that a target means.
type action func(ctx context.Context, c *ivt.Client, id string, v irq.Vector) error

// What an action can be told.
const (
	aVector     = "VECTOR"
	aVectorOrID = "VECTOR|CONNECTION"
)

func (a *app) actionCommand(use, target, past, short string, do action) *cobra.Command {
	return &cobra.Command{
		Use:     use + " " + target,
		GroupID: groupDriver,
		Short:   short,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := irq.ParseVector(args[0]); err != nil && target == aVector {
				return err
			}
			client, err := a.dial(c.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			ids, v, err := connectionsOf(c.Context(), client, use, args[0])
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := do(c.Context(), client, id, v); err != nil {
					return err
				}
			}
			return a.done(past, args[0])
		},
		ValidArgsFunction: a.completeHeld,
	}
}

func (a *app) maskCommand() *cobra.Command {
	return a.actionCommand("mask", aVector, "masked", "hold back a vector's interrupts; they are pending", func(ctx context.Context, c *ivt.Client, id string, v irq.Vector) error {
		return c.Mask(ctx, id, 0, v)
	})
}

func (a *app) unmaskCommand() *cobra.Command {
	return a.actionCommand("unmask", aVector, "unmasked", "let a masked vector's interrupts through again", func(ctx context.Context, c *ivt.Client, id string, v irq.Vector) error {
		return c.Unmask(ctx, id, 0, v)
	})
}

func (a *app) disconnectCommand() *cobra.Command {
	return a.actionCommand("disconnect", aVectorOrID, "disconnected", "end a connection, by its vector or id", func(ctx context.Context, c *ivt.Client, id string, _ irq.Vector) error {
		return c.Disconnect(ctx, id, 0)
	})
}

func (a *app) revokeCommand() *cobra.Command {
	var grace time.Duration
	var why string
	c := a.actionCommand("revoke", aVectorOrID, "revoked", "take a vector away (administrator); the holder is told", func(ctx context.Context, c *ivt.Client, id string, _ irq.Vector) error {
		return c.Revoke(ctx, id, grace, why)
	})
	c.Flags().DurationVar(&grace, "grace", 0, "`time` that the holder has to leave by itself")
	c.Flags().StringVar(&why, "why", "", "`text` that the holder and history get")
	return c
}
