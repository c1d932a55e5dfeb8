// Command bench measures ivt side by side with its peers on this machine, interleaved, and prints a line each:
//
//	name  ours  peer  ratio  goal  ok|MISS
//
// with medians. A row whose peer cannot be had here says what would bring it. -run REGEXP chooses rows, -rounds N
// the number of samples, -strict makes a MISS the exit status 1.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
)

// A row is one comparison.
type row struct {
	name string
	goal goal
	// prepare starts what is compared and returns how to take one sample of each side; peer may be nil where the goal
	// is a number. cleanup is called in any case.
	prepare func(b *bench) (ours, peer sample, err error)
}

// rows are all comparisons, in the order in which they are printed.
var rows = [][]row{raiseRows, connectRows, wakeRows, streamRows, releaseRows, restartRows, watcherRows, memoryRows, listRows}

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	only := flag.String("run", "", "only the rows that match this `regexp`")
	rounds := flag.Int("rounds", 15, "samples of each side")
	strict := flag.Bool("strict", false, "exit with status 1 if a goal is missed")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	fmt.Printf("# %s, %d CPUs, %s\n", kernelVersion(), runtime.NumCPU(), runtime.Version())
	fmt.Printf("%-58s %10s %10s %7s %8s\n", "name", "ours", "peer", "ratio", "goal")
	missed := false
	if inVM() {
		rows = [][]row{deviceRows}
	}
	for _, group := range rows {
		for _, r := range group {
			if match.MatchString(r.name) {
				missed = !r.run(*rounds) || missed
			}
		}
	}
	if !inVM() && deviceRowsMatch(match) {
		missed = !runVM(*only, *rounds, *strict) || missed
	}
	if missed && *strict {
		os.Exit(1)
	}
}

// errSkip wraps why a row cannot be measured here, with the cure.
var errSkip = errors.New("skipped")

func skip(why string) error { return fmt.Errorf("%w: %s", errSkip, why) }

// run measures and prints one row. It reports whether the goal was reached, or could not be tried.
func (r row) run(rounds int) bool {
	b := &bench{rounds: rounds}
	defer b.cleanup()
	ours, peer, err := r.prepare(b)
	if err == nil {
		err = b.measure(ours, peer)
	}
	if err != nil {
		fmt.Printf("%-58s %v\n", r.name, err)
		return errors.Is(err, errSkip)
	}
	line, ok := b.verdict(r.goal)
	fmt.Printf("%-58s %s\n", r.name, line)
	return ok
}
