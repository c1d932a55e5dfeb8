package vm

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// kernelLog is what the VM's kernel said, from its console and from its log.
type kernelLog struct {
	mu       sync.Mutex
	lines    []string // the last of them
	faults   []string // since the last call of take
	within   bool     // in the lines of a fault
	seen     map[string]bool
	expected []*regexp.Regexp
	heard    func() // is called for each line, if it is not nil
}

const keptLines = 400

var (
	fault = regexp.MustCompile(`Kernel panic|Oops:|\bBUG: |WARNING: (CPU|possible|suspicious)|` +
		`general protection fault|soft lockup|blocked for more than \d+ seconds|` +
		`detected stalls|self-detected stall|nobody cared|Out of memory: Killed|` +
		`vfio.*blocked until released by user`)
	faultEnd = regexp.MustCompile(`---\[ end `)
	stamp    = regexp.MustCompile(`^(<\d>)?\[ *\d+\.\d+\] `)
)

// add takes a line. The same line comes twice, by console and by log, if it is
// a warning: their time stamp tells.
func (k *kernelLog) add(line string) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return
	}
	if k.heard != nil {
		k.heard()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if stamp.MatchString(line) {
		if k.seen == nil {
			k.seen = map[string]bool{}
		}
		if k.seen[line] {
			return
		}
		k.seen[line] = true
	}
	k.lines = append(k.lines, line)
	if n := len(k.lines); n > 2*keptLines {
		k.lines = append([]string(nil), k.lines[n-keptLines:]...)
	}
	k.judge(line)
}

// judge collects a fault from its first line to its end mark, or the 40 lines
// after it.
func (k *kernelLog) judge(line string) {
	matches := func(re *regexp.Regexp) bool { return re.MatchString(line) }
	starts := fault.MatchString(line) && !slices.ContainsFunc(k.expected, matches)
	if !starts && (!k.within || len(k.faults) > 40) {
		return
	}
	k.faults = append(k.faults, line)
	k.within = !faultEnd.MatchString(line) && (k.within || multiLine.MatchString(line))
}

// multiLine are the faults that come with registers and a call trace.
var multiLine = regexp.MustCompile(`Oops|BUG: |WARNING: |general protection|lockup|stall|nobody cared|Kernel panic|blocked for more`)

// expect makes lines that match no fault from now on.
func (k *kernelLog) expect(expr string) error {
	re, err := regexp.Compile(expr)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expected = append(k.expected, re)
	return nil
}

// take returns the faults since it was last called and forgets what was
// expected.
func (k *kernelLog) take() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.faults
	k.faults, k.within, k.expected = nil, false, nil
	return f
}

// last returns the last n lines.
func (k *kernelLog) last(n int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.lines[max(0, len(k.lines)-n):]...)
}
