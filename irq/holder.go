package irq

import (
	"strconv"
	"strings"
	"time"
)

// HolderKind tells what holds a vector.
type HolderKind string

// The kinds. HolderUnknown says that there is a holder which could not be named; Label says why.
const (
	HolderProcess HolderKind = "process"
	HolderKernel  HolderKind = "kernel"
	HolderUnknown HolderKind = "unknown"
)

// Access says what a connection is granted: one interrupt (default) or the whole device with it.
type Access string

// The grants.
const (
	AccessIRQ    Access = "irq"
	AccessDevice Access = "device"
)

// A Holder is who has a vector. For a process, everything but Label is what the kernel says of it;
// Label is its own word and grants nothing.
type Holder struct {
	Kind       HolderKind `json:"kind"`
	PID        int        `json:"pid,omitempty"`
	StartTime  uint64     `json:"startTime,omitempty"` // clock ticks since boot, proc_pid_stat(5) field 22: with PID names one process
	UID        *int       `json:"uid,omitempty"`
	GID        *int       `json:"gid,omitempty"`
	Command    string     `json:"command,omitempty"` // comm
	Unit       string     `json:"unit,omitempty"`    // systemd system unit, from the cgroup path
	Cgroup     string     `json:"cgroup,omitempty"`
	Label      string     `json:"label,omitempty"`
	Driver     string     `json:"driver,omitempty"` // a kernel driver, or the action's name in /proc/interrupts
	Device     string     `json:"device,omitempty"` // its device
	IRQ        int        `json:"irq,omitempty"`    // Linux irq, 0 if none is known
	Since      time.Time  `json:"since,omitzero"`
	Connection string     `json:"connection,omitempty"`
	Shared     bool       `json:"shared,omitempty"`
	Access     Access     `json:"access,omitempty"`
	// Left is how much of the grace is left while the vector is orphaned.
	Left time.Duration `json:"-"`
}

// SameProcess reports whether both are the same living or dead process, by pid and start time.
func (h Holder) SameProcess(o Holder) bool {
	return h.Kind == HolderProcess && o.Kind == HolderProcess && h.PID == o.PID && h.StartTime == o.StartTime
}

// String names the holder in one phrase: "pid 4711 (nicd, uid 1000, unit nic-worker@1.service) since 12:03:44".
func (h Holder) String() string {
	var b strings.Builder
	switch h.Kind {
	case HolderKernel:
		b.WriteString("kernel driver " + orUnknown(shown(h.Driver)))
		if h.Device != "" {
			b.WriteString(" for " + shown(h.Device))
		}
		if h.IRQ != 0 {
			b.WriteString(" (irq " + strconv.Itoa(h.IRQ) + ")")
		}
	case HolderProcess:
		b.WriteString("pid " + strconv.Itoa(h.PID))
		b.WriteString(h.particulars())
	default:
		b.WriteString("an unknown holder")
		if h.Label != "" {
			b.WriteString(" (" + shown(h.Label) + ")")
		}
	}
	if !h.Since.IsZero() {
		b.WriteString(" since " + h.Since.Local().Format("2006-01-02 15:04:05"))
	}
	if h.Left > 0 {
		b.WriteString(", gone; its grace ends in " + h.Left.Round(100*time.Millisecond).String())
	}
	return b.String()
}

func (h Holder) particulars() string {
	var parts []string
	if h.Command != "" {
		parts = append(parts, shown(h.Command))
	}
	if h.UID != nil {
		parts = append(parts, "uid "+strconv.Itoa(*h.UID))
	}
	if h.Unit != "" {
		parts = append(parts, "unit "+shown(h.Unit))
	}
	if h.Label != "" {
		parts = append(parts, strconv.Quote(cut(h.Label)))
	}
	if parts == nil {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
