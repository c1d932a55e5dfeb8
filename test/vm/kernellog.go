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

	stall   []string    // the head of a report of a stall, not judged yet
	notes   []string    // stalls that are the host's, since the last call of take
	starved func() bool // whether the host gives the VM too little time now

	recording bool
	kept      []string // while recording
}

const keptLines = 400

var (
	fault = regexp.MustCompile(`Kernel panic|Oops:|\bBUG: |WARNING: (CPU|possible|suspicious)|` +
		`general protection fault|soft lockup|blocked for more than \d+ seconds|` +
		`nobody cared|Out of memory: Killed|` +
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
	if k.recording {
		k.kept = append(k.kept, line)
		return
	}
	k.lines = append(k.lines, line)
	if n := len(k.lines); n > 2*keptLines {
		k.lines = append([]string(nil), k.lines[n-keptLines:]...)
	}
	k.judge(line)
}

// A report of RCU's begins with these, then has a line for each processor that it waits for (kernel/rcu/tree_stall.h).
var (
	stallHead     = regexp.MustCompile(`detected stalls|self-detected stall`)
	stallOf       = regexp.MustCompile(`rcu:\s+\d+-\S+: \(|Tasks blocked on`)
	falsePositive = regexp.MustCompile(`\(false positive\?\)`)
)

// judge collects a fault from its first line to its end mark, or the 40 lines
// after it. A stall is judged when its head is complete.
func (k *kernelLog) judge(line string) {
	if k.stall != nil && stallOf.MatchString(line) {
		k.stall = append(k.stall, line)
		return
	}
	k.settle()
	if stallHead.MatchString(line) {
		k.stall = []string{line}
		return
	}
	matches := func(re *regexp.Regexp) bool { return re.MatchString(line) }
	starts := fault.MatchString(line) && !slices.ContainsFunc(k.expected, matches)
	if !starts && (!k.within || len(k.faults) > 40) {
		return
	}
	k.faults = append(k.faults, line)
	k.within = !faultEnd.MatchString(line) && (k.within || multiLine.MatchString(line))
}

// settle judges a stall: it is a fault unless it is expected, the kernel itself calls it a false positive on all processors, or
// the host starves the VM.
func (k *kernelLog) settle() {
	head := k.stall
	if k.stall = nil; head == nil {
		return
	}
	expected := func(re *regexp.Regexp) bool { return re.MatchString(head[0]) }
	doubtful := func(line string) bool { return !falsePositive.MatchString(line) }
	switch {
	case slices.ContainsFunc(k.expected, expected):
	case len(head) > 1 && !slices.ContainsFunc(head[1:], doubtful):
		k.notes = append(k.notes, "a stall that the kernel itself takes for a false positive: "+head[0])
	case k.starved != nil && k.starved():
		k.notes = append(k.notes, "a stall while this machine had too little time for the VM: "+head[0])
	default:
		k.faults = append(k.faults, head...)
		k.within = true
	}
}

// blame gives the log somebody to ask whether the host starves the VM.
func (k *kernelLog) blame(starved func() bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.starved = starved
}

// record keeps the lines that come from now on apart, and unjudged.
func (k *kernelLog) record() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.recording, k.kept = true, nil
}

// recorded is how many those are.
func (k *kernelLog) recorded() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return int64(len(k.kept))
}

func (k *kernelLog) stopRecord() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.recording = false
	return k.kept
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

// take returns the faults and notes since it was last called and forgets what
// was expected.
func (k *kernelLog) take() (faults, notes []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.settle()
	faults, notes = k.faults, k.notes
	k.faults, k.notes, k.within, k.expected = nil, nil, false, nil
	return faults, notes
}

// last returns the last n lines.
func (k *kernelLog) last(n int) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.lines[max(0, len(k.lines)-n):]...)
}
