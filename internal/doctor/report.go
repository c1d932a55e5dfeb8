package doctor

import (
	"time"

	"github.com/ivtd/ivt/internal/doctor/explain"
)

// Severity says how much a finding matters.
type Severity = explain.Severity

// The severities, ascending.
const (
	Info    = explain.Info
	Notice  = explain.Notice
	Warning = explain.Warning
	Serious = explain.Serious
)

// A Remedy is one thing to do, with its command and risk.
type Remedy = explain.Remedy

// A Report is what the doctor found, looked at and could not see.
type Report struct {
	Machine    string     `json:"machine"` // "this machine", or the name of a saved one
	Kernel     string     `json:"kernel,omitempty"`
	Arch       string     `json:"arch,omitempty"`
	CPUs       int        `json:"cpus"` // online
	Interrupts int        `json:"interrupts"`
	Taken      time.Time  `json:"taken,omitzero"`
	Sampled    float64    `json:"sampledSeconds,omitempty"` // between the two pictures, 0 if there was one
	Log        *LogRead   `json:"log,omitempty"`            // nil if no log was read
	Findings   []*Finding `json:"findings"`                 // the gravest first
	Looked     []Looked   `json:"looked"`
	Unseen     []Unseen   `json:"unseen"`
}

// A LogRead is which kernel log was read, and how much of it.
type LogRead struct {
	Name    string `json:"name"` // "/dev/kmsg", "standard input", a file
	Lines   int64  `json:"lines"`
	Foreign int64  `json:"foreign,omitempty"` // lines of programs that look like the kernel's: not believed
	Dropped int64  `json:"dropped,omitempty"` // incidents beyond what is kept
	Other   string `json:"other,omitempty"`   // why it is not compared with the machine: another kernel's
}

// A Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	ID       string     `json:"id"` // also its page: docs/findings/ID.md
	Severity Severity   `json:"severity"`
	Title    string     `json:"title"`
	Evidence []Evidence `json:"evidence"`
	Meaning  string     `json:"meaning"`
	Remedies []Remedy   `json:"remedies,omitempty"`
	Vectors  []string   `json:"vectors,omitempty"` // canonical names
	Count    int64      `json:"count,omitempty"`   // how often the log has it
	Page     string     `json:"page"`
}

// Evidence is a file with what is in it, or a line of the log.
type Evidence struct {
	From  string `json:"from"` // "/proc/irq/16/spurious", "kernel log", "rate"
	Value string `json:"value"`
	Time  string `json:"time,omitempty"` // of a log line, as it was written
}

// Looked is one check that was made.
type Looked struct {
	ID    string `json:"id"`
	For   string `json:"for"`   // what was looked for: "busy lines that several devices share"
	What  string `json:"what"`  // what was looked at: "43 interrupts"
	Found int    `json:"found"` // findings of this kind
}

// Unseen is something that could not be looked at: what, why, and what would reveal it.
type Unseen struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Cure string `json:"cure,omitempty"`
}

// Worst returns the severity of the gravest finding; ok is false if there is none.
func (r *Report) Worst() (s Severity, ok bool) {
	for _, f := range r.Findings {
		s, ok = max(s, f.Severity), true
	}
	return s, ok
}

// Reaches reports whether a finding is at or above s: what --fail-on asks.
func (r *Report) Reaches(s Severity) bool {
	worst, ok := r.Worst()
	return ok && worst >= s
}

// ParseSeverity reads "info", "notice", "warning" or "serious", for --fail-on.
func ParseSeverity(s string) (Severity, error) { return explain.ParseSeverity(s) }

// Severities returns the names, ascending.
func Severities() []string { return explain.Severities() }
