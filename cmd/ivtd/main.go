// Command ivtd gives user-space drivers the interrupt vectors of this machine, one holder each.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/daemon/places"
	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/internal/version"
)

// options are what the command line says.
type options struct {
	socket, config string
	history        string
	user, system   bool
	mode           uint32
	logFormat      string
	logLevel       string
	check          bool
	showVersion    bool
	alone          bool // without a keeper
	public         string
	places         places.Set
	mustConfig     bool
}

func main() {
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "ivtd:", err)
		os.Exit(status(err))
	}
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func status(err error) int {
	if errors.As(err, &usageError{}) {
		return 2
	}
	return 1
}

func command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "ivtd",
		Short: "Gives user-space drivers the interrupt vectors of this machine, one holder each",
		Long: `ivtd serves the interrupt vector table of user space on a Unix socket: whoever connects to a vector first
has it alone, whoever comes second is told who, since when and what to do (error 763).

As root it serves /run/ivtd/ivtd.sock by the policy /etc/ivtd/ivtd.toml and ivtd.d/*.toml, otherwise
$XDG_RUNTIME_DIR/ivtd.sock by ~/.config/ivtd/ivtd.toml. Without a policy there are 64 doorbells, soft:demo,
for ivtd's own user. SIGHUP reads the policy again, SIGTERM ends it.`,
		Args:          func(_ *cobra.Command, args []string) error { return noArguments(args) },
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := c.Flags()
	f.StringVar(&o.socket, "socket", "", "serve this `path` (default: IVT_SOCKET, else as above)")
	f.StringVar(&o.config, "config", "", "policy `file`; ivtd.d/*.toml beside it is read, too")
	f.StringVar(&o.history, "history", "", "keep events in this `file`, or none (default: /var/lib/ivtd/history.db or the user's, with --socket none)")
	f.BoolVar(&o.user, "user", false, "use the places of a user's ivtd, even as root")
	f.BoolVar(&o.system, "system", false, "use the places of the machine's ivtd")
	f.Uint32Var(&o.mode, "socket-mode", 0, "mode of the socket, such as 0660 (default 0666, with --user 0600)")
	f.BoolVar(&o.check, "check-config", false, "say whether the policy is right, and all that is wrong with it")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&o.showVersion, "version", false, "print the version")
	f.StringVar(&o.public, "listen", "", "serve the page and /metrics to everybody who gets there: `host:port`, or unix:/path (default: nobody)")
	f.BoolVar(&o.alone, "no-keeper", false, "one process instead of two: its death releases everybody")
	c.MarkFlagsMutuallyExclusive("user", "system")
	return c
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q; ivtd has options only, see ivtd --help", args[0])}
	}
	return nil
}

func (o *options) run(cmd *cobra.Command) error {
	if o.showVersion {
		fmt.Fprintln(cmd.OutOrStdout(), "ivtd", version.String())
		return nil
	}
	if err := o.resolve(); err != nil {
		return err
	}
	if o.public != "" {
		if _, _, err := parseListen(o.public); err != nil {
			return err
		}
	}
	if o.check {
		return o.checkConfig(cmd)
	}
	log, err := o.logger()
	if err != nil {
		return err
	}
	switch {
	case os.Getenv(keeper.WorkerEnv) != "":
		return o.work(log)
	case o.alone:
		return o.serve(log)
	}
	return o.keep(log)
}

// resolve decides where everything is.
func (o *options) resolve() (err error) {
	if o.places, err = o.defaults(); err != nil {
		return err
	}
	if o.socket != "" {
		o.places.Socket, o.places.History = o.socket, ""
	}
	switch o.history {
	case "":
	case "none":
		o.places.History = ""
	default:
		o.places.History = o.history
	}
	if o.mode != 0 {
		o.places.Mode = os.FileMode(o.mode).Perm()
	}
	if o.config != "" {
		o.places.Policy, o.mustConfig = o.config, true
	}
	return nil
}

func (o *options) defaults() (places.Set, error) {
	if o.socket == "" {
		o.socket = os.Getenv("IVT_SOCKET")
	}
	if o.system || os.Geteuid() == 0 && !o.user {
		return places.System(), nil
	}
	p, err := places.User()
	if err != nil && (o.socket != "" || o.check) {
		return places.Set{Mode: 0o600}, nil // a place was chosen, nothing else is needed
	}
	return p, err
}

// load reads the policy. Where there is no file the built-in one holds.
func (o *options) load() (*policy.Policy, error) {
	if o.places.Policy == "" {
		return policy.Default(os.Geteuid()), nil
	}
	return policy.Load(o.places.Policy, o.mustConfig, os.Geteuid())
}

func (o *options) checkConfig(cmd *cobra.Command) error {
	p, err := o.load()
	if problems := (policy.Problems)(nil); errors.As(err, &problems) {
		for _, problem := range problems {
			fmt.Fprintln(cmd.ErrOrStderr(), problem.Error())
		}
		return fmt.Errorf("the policy has %d mistakes", len(problems))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "OK: %s\n", p.Summary())
	return nil
}

func (o *options) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level %q: there are debug, info, warn and error", o.logLevel)}
	}
	handler := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, handler)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, handler)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q: there are text and json", o.logFormat)}
}
