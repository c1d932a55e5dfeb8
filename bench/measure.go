package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A sample measures one side once and returns what it costs: nanoseconds an operation, or bytes.
type sample func() (float64, error)

// A goal is what a row must reach: a ratio to the peer, or a number.
type goal struct {
	ratio float64 // 0: none
	limit float64 // 0: none
	unit  string  // default ns
}

func atMost(ratio float64) goal { return goal{ratio: ratio} }

// bench is one row being measured.
type bench struct {
	rounds     int
	pinned     bool // see place.go
	ours, peer []float64
	notes      []string
	undo       []func()
}

// later has f called when the row is done; the last given is the first called.
func (b *bench) later(f func()) { b.undo = append(b.undo, f) }

func (b *bench) cleanup() {
	for _, f := range slices.Backward(b.undo) {
		f()
	}
}

// note adds a remark to the line.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// measure takes the samples of both sides in turn, so that what disturbs the machine disturbs both. The first of each is
// not counted.
func (b *bench) measure(ours, peer sample) error {
	for round := range b.rounds + 1 {
		for _, side := range []struct {
			take sample
			into *[]float64
		}{{ours, &b.ours}, {peer, &b.peer}} {
			if side.take == nil {
				continue
			}
			v, err := side.take()
			if err != nil {
				return err
			}
			if round > 0 {
				*side.into = append(*side.into, v)
			}
		}
	}
	return nil
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// quantile returns a value that the given share of values does not exceed.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// verdict is the line of a row.
func (b *bench) verdict(g goal) (line string, ok bool) {
	ours, peer := median(b.ours), median(b.peer)
	columns := []string{shown(ours, g.unit), "-", "-", "-"}
	ok = true
	if len(b.peer) > 0 {
		columns[1], columns[2] = shown(peer, g.unit), fmt.Sprintf("%.2f", ours/peer)
	}
	switch {
	case g.ratio > 0:
		columns[3] = fmt.Sprintf("<=%.2f", g.ratio)
		ok = ours <= g.ratio*peer
	case g.limit > 0:
		columns[3] = "<=" + shown(g.limit, g.unit)
		ok = ours <= g.limit
	}
	word := map[bool]string{true: "ok", false: "MISS"}[ok]
	return fmt.Sprintf("%10s %10s %7s %8s  %-4s %s", columns[0], columns[1], columns[2], columns[3], word, strings.Join(b.notes, "; ")), ok
}

func shown(v float64, unit string) string {
	switch {
	case unit == "calls":
		return fmt.Sprintf("%.2f", v)
	case unit == "%":
		return fmt.Sprintf("%.1f%%", v)
	case unit == "B" && v >= 10<<20:
		return fmt.Sprintf("%.1fMB", v/(1<<20))
	case unit == "B" && v >= 10<<10:
		return fmt.Sprintf("%.1fKB", v/(1<<10))
	case unit == "B":
		return fmt.Sprintf("%.0fB", v)
	case v < 100:
		return fmt.Sprintf("%.1fns", v)
	}
	return time.Duration(v).Round(time.Duration(v / 100)).String()
}

// repeat makes a sample of n calls: nanoseconds each.
func repeat(n int, call func() error) sample {
	return func() (float64, error) {
		start := time.Now()
		for range n {
			if err := call(); err != nil {
				return 0, err
			}
		}
		return float64(time.Since(start)) / float64(n), nil
	}
}

func kernelVersion() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}
