// Command cobra has one command that does nothing: what the library for commands adds to an empty program.
package main

import "github.com/spf13/cobra"

func main() {
	root := &cobra.Command{Use: "cobra"}
	root.AddCommand(&cobra.Command{Use: "list", RunE: func(*cobra.Command, []string) error { return nil }})
	root.SetArgs([]string{"list"})
	_ = root.Execute()
}
