package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/internal/version"
)

// app is what every command needs: the flags that are everywhere, and where to write.
type app struct {
	json   bool
	root   string // a saved machine
	socket string
	user   bool
	system bool
	out    term.Output
	errs   term.Output
	in     *os.File
	// conflictExit replaces the exit status of an error 763 (ivt connect --conflict-exit-code); 0 does not.
	conflictExit int
	withCommand  bool // ivt connect -- CMD: own failures are 125
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string) (status int) {
	a := &app{out: term.For(os.Stdout), errs: term.For(os.Stderr), in: os.Stdin}
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(os.Stderr, "ivt: this is a mistake in ivt, please report it: %v\n", r)
			if os.Getenv("IVT_DEBUG") != "" {
				os.Stderr.Write(debug.Stack())
			}
			status = exitNo
		}
	}()
	out := &heard{Writer: a.out.Writer}
	a.out.Writer = out
	root := a.command(args)
	root.SetArgs(args)
	root.SetContext(ctx)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = out.err
	}
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitInterrupted
	}
	a.report(command, err)
	return a.status(err)
}

// heard remembers the first write that failed: what could not be printed on a full disk is not done.
type heard struct {
	io.Writer
	err error
}

func (h *heard) Write(p []byte) (int, error) {
	n, err := h.Writer.Write(p)
	h.err = cmp.Or(h.err, err)
	return n, err
}

// The groups in which help shows the commands.
const (
	groupLook   = "look"
	groupDriver = "driver"
	groupChange = "change"
	groupMore   = "more"
)

// command makes the command tree, or as much of it as a command line needs; none needs all.
func (a *app) command(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "ivt",
		Short: "who holds which interrupt, what is wrong, and a vector of your own",
		Long: `ivt is the interrupt vector table for drivers in user space.

What only reads (who, list, show, doctor, explain, top, page, save, diff) needs no daemon and no root,
changes nothing, and says what more privileges would show. Drivers connect through the daemon ivtd.

Exit status: 0 done; 1 no (who: nobody holds it); 2 a command line that cannot be meant, 87, 50; 3 taken: 763, 764, 170;
4 not there: 433, 1167; 5 access denied; 6 not enough: 1450; 7 no ivtd; 8 doctor found something; 124 a wait expired;
125 ivt's own failure before CMD; 130 Ctrl-C.`,
		Version:                    version.String(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		Args:                       noSuchCommand,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(c *cobra.Command, _ []string) error { return a.overview(c.Context()) },
	}
	root.AddGroup(&cobra.Group{ID: groupLook, Title: "Look:"}, &cobra.Group{ID: groupDriver, Title: "Drivers:"},
		&cobra.Group{ID: groupChange, Title: "Change the machine (with your rights):"}, &cobra.Group{ID: groupMore, Title: "More:"})
	root.SetHelpCommandGroupID(groupMore)
	root.SetCompletionCommandGroupID(groupMore)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print one JSON document (watch: one a line), errors too")
	flags.StringVar(&a.root, "root", "", "read a saved machine (ivt save) or a tree of /proc and /sys: `DIR|FILE|-`")
	flags.StringVar(&a.socket, "socket", "", "`path` of ivtd's socket (default: IVT_SOCKET, the system's, then the user's)")
	flags.BoolVar(&a.user, "user", false, "talk to the user's ivtd")
	flags.BoolVar(&a.system, "system", false, "talk to the system's ivtd")
	root.MarkFlagsMutuallyExclusive("user", "system", "socket")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{err} })
	root.SetVersionTemplate("ivt {{.Version}}\n")
	root.SetOut(a.out)
	root.SetErr(a.errs)
	a.addCommands(root, args)
	argumentErrors(root)
	return root
}

// argumentErrors makes a wrong number of arguments, and flags that exclude each other, a usage error (exit 2), as a wrong
// flag is.
func argumentErrors(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if err := cmp.Or(check(c, args), c.ValidateFlagGroups()); err != nil {
			return usageError{err}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		argumentErrors(sub)
	}
}

// noSuchCommand refuses words after ivt that are no command, and says what may have been meant.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}
