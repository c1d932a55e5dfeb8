// Command vmtest runs the tests of Go packages inside a virtual machine with a
// Linux kernel of choice and prints what go test would.
//
//	go run ./test/vm/cmd/vmtest -kernel 6.1 -run Unplug -v ./test/vm/bare
//	go run ./test/vm/cmd/vmtest                   all packages, all kernels
//	go run ./test/vm/cmd/vmtest -shell -kernel own ./cmd/ivt ./cmd/ivtd
//	go run ./test/vm/cmd/vmtest -script demo.sh -kernel 6.12 ./examples/deaf -- bare
//
// Exit status: 0 all passed, 1 a test failed, 2 they could not be run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/test/vm"
	"github.com/ivtd/ivt/test/vm/kernels"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx)
	stop()
	os.Exit(status)
}

func run(ctx context.Context) int {
	var (
		o       = vm.Options{Log: os.Stderr}
		kernel  = flag.String("kernel", strings.Join(kernels.Matrix, ","), "kernels, by the start of their version or \"own\"")
		shell   = flag.Bool("shell", false, "a shell in the VM instead of tests; arguments are programs to build into it")
		verbose = flag.Bool("v", false, "verbose, as in go test")
		json    = flag.Bool("json", false, "print as go test -json does")
		script  = flag.String("script", "", "run this shell script in the VM; arguments are as with -shell, and after -- the script's")
		fetch   = flag.Bool("fetch", false, "only fetch and build the kernels")
	)
	flag.StringVar(&o.Run, "run", "", "run only tests that match this regular expression")
	flag.IntVar(&o.Count, "count", 0, "run each test n times; 1 runs what is known to pass, too")
	flag.DurationVar(&o.Timeout, "timeout", 0, "limit for a package (default 4m)")
	flag.IntVar(&o.Jobs, "jobs", 0, "VMs at a time (default 2)")
	flag.IntVar(&o.Memory, "memory", 0, "memory of a VM in MiB (default 768)")
	flag.BoolVar(&o.Instructions, "icount", false, "with -shell and -script: the number of instructions is the time, whatever else the host does")
	flag.BoolVar(&o.Update, "update", false, "look for newer kernels of the same names")
	flag.Parse()
	o.Kernels = strings.Split(*kernel, ",")
	o.Packages = flag.Args()

	switch {
	case *shell:
		o.Programs = flag.Args()
		return done(true, vm.Shell(ctx, o))
	case *script != "":
		var args []string
		o.Programs, args = cut(flag.Args())
		return done(true, vm.Script(ctx, o, os.Stdout, *script, args...))
	case *fetch:
		return done(true, vm.Fetch(ctx, o))
	}
	p := vm.Printer{Out: os.Stdout, Verbose: *verbose, JSON: *json}
	if *verbose && !*json && len(o.Kernels) == 1 {
		o.Stream, p.Streamed = os.Stdout, true
	}
	o.Each = func(r vm.Result) {
		if err := p.Print(ctx, r); err != nil {
			fmt.Fprintln(os.Stderr, "vmtest:", err)
		}
	}
	return done(vm.Run(ctx, o))
}

// cut splits arguments at "--".
func cut(args []string) (before, after []string) {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i], args[i+1:]
	}
	return args, nil
}

func done(ok bool, err error) int {
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "vmtest:", err)
		return 2
	case !ok:
		return 1
	}
	return 0
}
