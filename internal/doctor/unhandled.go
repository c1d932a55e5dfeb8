package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/ivtd/ivt/internal/host"
)

// The kernel counts unhandled interrupts within each 100,000, and forgets them when the last one was a tenth of a
// second ago (note_interrupt): so a high number was a burst. Fewer than aBurst are noise.
const (
	aBurst  = 1000
	ofLate  = 10 * time.Minute
	aWindow = 100_000
)

// lookUnhandled reports bursts of interrupts that no handler wanted, on lines that are still on.
func lookUnhandled(x *exam) string {
	looked := 0
	for i := range x.m.IRQs {
		q := &x.m.IRQs[i]
		if q.Spurious == nil {
			continue
		}
		looked++
		if q.Spurious.Unhandled >= aBurst && len(q.Handlers) > 0 {
			x.addUnhandled(q)
		}
	}
	return plural(looked, "interrupt")
}

func (x *exam) addUnhandled(q *host.IRQ) {
	s := q.Spurious
	share := 100 * float64(s.Unhandled) / float64(max(s.Count, s.Unhandled))
	f := Finding{Severity: Notice, Title: fmt.Sprintf("%d interrupts on irq %d were handled by nobody", s.Unhandled, q.Number), Vectors: []string{q.Name()},
		Evidence: []Evidence{spuriousEvidence(q), row(q)},
		Meaning:  fmt.Sprintf("%.0f %% of the present %d; at 99.9 %% of %d the kernel switches the line off.", share, s.Count, aWindow),
		Remedies: []Remedy{{Do: "See who is on it.", Command: "ivt who " + q.Name()}}}
	switch age, known := x.since(s.Last); {
	case known && age > ofLate && x.newUnhandled(q) == 0:
		f.Severity = Info
		f.Title += " " + strings.TrimSuffix(age.Round(time.Minute).String(), "0s") + " ago"
		f.Meaning = "It was a burst and is over. " + f.Meaning
		f.Remedies = nil
	case share >= 50:
		f.Severity = Warning
		f.Meaning = x.whoseUnhandled(q) + " " + f.Meaning
	default:
		f.Meaning = x.whoseUnhandled(q) + " " + f.Meaning
	}
	x.add(f)
}

// whoseUnhandled says whose they may be.
func (x *exam) whoseUnhandled(q *host.IRQ) string {
	if culprit := x.culprit(q, nil); culprit != "" {
		return culprit
	}
	if len(q.Handlers) == 1 {
		return q.Handlers[0].Name + " is the only handler and says that they are not its own: its device raises more than its driver knows, or another device is on the wire."
	}
	return "Several drivers share the line, and each says that they are not its own."
}

// since is how long ago a time after boot was. The kernel's number wraps after 49 days: then nobody knows.
func (x *exam) since(afterBoot time.Duration) (time.Duration, bool) {
	if x.uptime == 0 || x.uptime > 49*24*time.Hour || afterBoot > x.uptime {
		return 0, false
	}
	return x.uptime - afterBoot, true
}

func spuriousEvidence(q *host.IRQ) Evidence {
	s := q.Spurious
	return Evidence{From: fmt.Sprintf("/proc/irq/%d/spurious", q.Number), Value: fmt.Sprintf("count %d, unhandled %d, last %d ms after boot", s.Count, s.Unhandled, s.Last.Milliseconds())}
}
