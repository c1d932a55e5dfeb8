//go:build man

// Built with the tag man this is another program: it writes the manual pages of ivt's commands into a folder (make man). The
// libraries for that do not belong into ivt.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"

	"github.com/ivtd/ivt/internal/term"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: man FOLDER")
		os.Exit(exitUsage)
	}
	root := (&app{out: term.For(os.Stdout), errs: term.For(os.Stderr), in: os.Stdin}).command(nil)
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "IVT", Section: "1", Source: "ivt", Manual: "ivt"}, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "man:", err)
		os.Exit(exitNo)
	}
}
