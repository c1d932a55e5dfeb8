package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// completeVectors offers the names of vectors that ivtd hands out, within the time that a shell's user waits for.
func (a *app) completeVectors(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.complete(c, typed, false)
}

func (a *app) completeHeld(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.complete(c, typed, true)
}

func (a *app) complete(c *cobra.Command, typed string, held bool) (names []string, d cobra.ShellCompDirective) {
	const most = 200
	ctx, cancel := context.WithTimeout(c.Context(), time.Second)
	defer cancel()
	client, err := a.dialIfThere(ctx)
	if err != nil || client == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer client.Close()
	for v, err := range client.List(ctx, "", held) {
		if err != nil || len(names) == most {
			break
		}
		if name := v.Vector.String(); len(name) >= len(typed) && name[:len(typed)] == typed {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
