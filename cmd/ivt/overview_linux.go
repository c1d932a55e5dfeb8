package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// overview is ivt without a command: where things stand, what to try next.
func (a *app) overview(ctx context.Context) error {
	p, denied, err := a.picture(ctx, host.PartList)
	if err != nil {
		return err
	}
	s := summarise(p)
	if denied != nil {
		s.Denied = denied.Detail
	}
	if a.json {
		return a.document(s)
	}
	a.printSummary(p, s)
	return nil
}

// summary is where things stand, in numbers.
type summary struct {
	Machine     string         `json:"machine"`
	CPUs        int            `json:"cpus"`
	KernelIRQs  int            `json:"kernelInterrupts"`
	KernelHeld  int            `json:"kernelHeld"`
	Vectors     int            `json:"ivtdVectors"`
	Held        int            `json:"ivtdHeld"`
	Waiting     int            `json:"waiting"`
	Storms      int            `json:"storms"`
	Unavailable int            `json:"unavailable"`
	Daemon      *ivt.Status    `json:"ivtd,omitempty"`
	Refusals    map[string]int `json:"refusals,omitempty"`
	Denied      string         `json:"denied,omitempty"` // why ivtd, which is there, does not talk to the caller
}

func summarise(p *picture.Picture) summary {
	s := summary{Machine: p.Machine.Kernel, CPUs: p.Machine.CPUs.Online.Len(), Daemon: p.Daemon}
	if s.CPUs == 0 {
		s.CPUs = len(p.Machine.Columns)
	}
	for i := range p.Rows {
		r := &p.Rows[i]
		if !r.Managed {
			s.KernelIRQs++
			if r.Held() {
				s.KernelHeld++
			}
			continue
		}
		s.Vectors++
		s.Waiting += r.Waiting
		if r.Held() {
			s.Held++
		}
		if r.Storm {
			s.Storms++
		}
		if r.State == irq.StateUnavailable {
			s.Unavailable++
		}
	}
	if p.Daemon != nil {
		s.Refusals = p.Daemon.Refusals
	}
	return s
}

func (a *app) printSummary(p *picture.Picture, s summary) {
	o := a.out
	fmt.Fprintf(o, "%s  %s, %d CPUs\n", o.Style(term.Bold, "kernel"), orText(s.Machine, "Linux"), s.CPUs)
	fmt.Fprintf(o, "        %d interrupts, %d with a driver\n", s.KernelIRQs, s.KernelHeld)
	if d := s.Daemon; d != nil {
		fmt.Fprintf(o, "%s    pid %d since %s, version %s\n", o.Style(term.Bold, "ivtd"), d.PID, d.Since.Local().Format(time.DateTime), term.Safe(d.Version))
		fmt.Fprintf(o, "        %d vectors, %d held, %d waiting\n", s.Vectors, s.Held, s.Waiting)
		for _, name := range slices.Sorted(maps.Keys(s.Refusals)) {
			fmt.Fprintf(o, "        refused: %s, %d times (ivt history, ivt explain %s)\n", term.Safe(name), s.Refusals[name], term.Safe(name))
		}
		if s.Storms+s.Unavailable > 0 {
			fmt.Fprintf(o, "        %s\n", o.Style(term.Red, fmt.Sprintf("%d in a storm, %d unavailable: ivt list", s.Storms, s.Unavailable)))
		}
	} else if s.Denied != "" {
		fmt.Fprintf(o, "%s    is here, and does not let you in: %s\n", o.Style(term.Bold, "ivtd"), term.Safe(s.Denied))
	} else if a.root == "" {
		fmt.Fprintf(o, "%s    not running here; what only looks works without it\n", o.Style(term.Bold, "ivtd"))
	}
	fmt.Fprintf(o, "\n%s\n", o.Style(term.Bold, "try"))
	try := [][2]string{{"ivt list", "every vector with its holder"}, {"ivt who TARGET", "who holds a vector, irq, device, interface, /dev path"},
		{"ivt doctor", "what is wrong with this machine's interrupts"}, {"ivt explain 763", "what a code or a kernel log line means"}}
	if s.Daemon != nil {
		try = append(try, [2]string{"ivt connect soft:demo/3", "a vector of your own"}, [2]string{"ivt watch", "what happens, as it happens"})
	} else if s.Denied != "" {
		try = append(try, [2]string{"ivtd & ivt --user", "an ivtd of your own"})
	} else {
		try = append(try, [2]string{"ivtd", "start the daemon: 64 doorbells to try, soft:demo"})
	}
	for _, t := range append(try, [2]string{"ivt --help", "all commands"}) {
		fmt.Fprintf(o, "  %-24s %s\n", t[0], t[1])
	}
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return term.Safe(s)
}

// refused asks ivtd, if there is one, for the latest refusals with a code.
func (a *app) refused(ctx context.Context) func(uint32) ([]explain.Refusal, error) {
	return func(code uint32) ([]explain.Refusal, error) {
		const most = 5
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		client, err := a.dialIfThere(ctx)
		if client == nil || err != nil {
			return nil, nil // explaining does not depend on ivtd
		}
		defer client.Close()
		var list []explain.Refusal
		for e, err := range client.History(ctx, "", time.Time{}) {
			if err != nil {
				break
			}
			if e.Refused != nil && uint32(e.Refused.Code) == code {
				list = append(list, refusalOf(&e))
			}
		}
		return list[max(0, len(list)-most):], nil
	}
}

func refusalOf(e *irq.Event) explain.Refusal {
	r := explain.Refusal{Time: e.Time, Operation: e.Refused.Operation, Vector: e.Vector.String(), Reason: string(e.Refused.Reason)}
	if e.Vector.IsZero() {
		r.Vector = e.Refused.Subject()
	}
	if e.Holder != nil {
		r.Caller = e.Holder.String()
	}
	for _, c := range e.Refused.Conflicts {
		if len(c.Holders) > 0 {
			r.Holder = c.Holders[0].String()
			break
		}
	}
	return r
}
