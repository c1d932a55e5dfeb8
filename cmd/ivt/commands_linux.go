package main

import (
	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
)

// machine opens what --root names: this machine by default.
func (a *app) machine() (*host.Root, error) {
	if a.root == "-" {
		return host.Open("-")
	}
	return host.Open(a.root)
}

func (a *app) addCommands(root *cobra.Command) {
	root.AddCommand(a.whoCommand(), a.listCommand(), a.showCommand(), a.saveCommand(), a.diffCommand())
	root.AddCommand(a.watchCommand(), a.historyCommand())
	root.AddCommand(a.connectCommand(), a.raiseCommand(), a.checkCommand())
	root.AddCommand(a.actionCommands()...)
	root.AddCommand(a.doctorCommand(), a.bindCommand(), a.unbindCommand(), a.affinityCommand(), a.metricsCommand(), a.pageCommand(), a.topCommand())
	a.addCommon(root)
}
