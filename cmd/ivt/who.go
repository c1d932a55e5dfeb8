//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

func (a *app) whoCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "who TARGET",
		GroupID: groupLook,
		Short:   "who holds it; exit status 1 if nobody does",
		Long: `Who says who holds a target: a vector (pci:0000:3b:00.0/msix/2, soft:demo/3, irq:36), an irq number, a PCI
address, a /dev path (/dev/vfio/12: which process makes it busy), a network interface or its queue (eth0, eth0/rx-3),
a block device, a GPIO line by name or gpiochip0/17, a pid, a unit. Whom ivtd's socket does not let in is told what the
kernel knows; exit status 5 if that is no holder, since ivtd may know of one.`,
		Example: "  ivt who 36\n  ivt who eth0\n  ivt who /dev/vfio/12\n  ivt who soft:demo/3",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.who(c, args[0])
		},
	}
}

func (a *app) who(c *cobra.Command, target string) error {
	answer, denied, err := a.answer(c.Context(), target)
	if err != nil {
		return err
	}
	if a.json {
		err = a.document(answer)
	} else {
		a.showAnswer(answer, denied)
	}
	switch {
	case err != nil || answer.Held():
		return err
	case denied != nil: // ivtd may know of a holder
		return statusError{status: exitDenied}
	}
	return errNobody
}

// answer asks ivtd for the vectors that it hands out, the kernel for all others, and for all if ivtd denied the caller.
func (a *app) answer(ctx context.Context, target string) (answer *host.Answer, denied *irq.Error, err error) {
	if answer, denied, err = a.askDaemon(ctx, target); answer != nil || err != nil {
		return answer, nil, err
	}
	root, err := a.machine()
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	answer, err = root.Who(ctx, target)
	switch {
	case denied != nil && errors.Is(err, irq.ErrNoSuchDevice):
		return nil, nil, denied // what the kernel does not know may be ivtd's
	case denied != nil && err == nil:
		answer.Blind = append(answer.Blind, picture.Unseen(denied))
	}
	return answer, denied, err
}

func (a *app) showAnswer(w *host.Answer, denied *irq.Error) {
	o := a.out
	subject := w.Subject
	if subject == "" {
		subject = w.Target
	}
	fmt.Fprintf(o, "%s %s\n", o.Style(term.Bold, term.Safe(subject)), o.Style(term.Dim, "("+term.Safe(w.Kind)+")"))
	for _, h := range w.Holders {
		fmt.Fprintf(o, "  held by  %s\n", term.Safe(holderText(h)))
		if h.Via != "" {
			fmt.Fprintf(o, "           through %s\n", term.Safe(h.Via))
		}
		if h.Cure != "" {
			fmt.Fprintf(o, "           %s\n", term.Safe(h.Cure))
		}
	}
	switch {
	case w.Held():
	case denied != nil:
		fmt.Fprintln(o, "  the kernel names nobody")
	default:
		fmt.Fprintln(o, "  nobody holds it")
	}
	if len(w.IRQs) > 0 {
		a.showIRQs(w.IRQs)
	}
	for _, n := range w.Notes {
		fmt.Fprintf(o, "  note     %s\n", term.Safe(n))
	}
	for _, r := range w.Remedies {
		fmt.Fprintf(o, "  try      %s\n", term.Safe(r))
	}
	if !w.Held() {
		a.showBlind(w.Blind) // what could hide a holder; who has one need not know
	}
}

func holderText(h host.Holder) string {
	text := h.Holder.String()
	if h.User != "" {
		text += ", user " + h.User
	}
	if h.Exe != "" {
		text += ", " + h.Exe
	}
	if !h.Certain && h.PID != 0 {
		text += " (it has a descriptor of this kind; the kernel does not say of which device)"
	}
	return text
}

// showIRQs shows the first few interrupts of a target.
func (a *app) showIRQs(irqs []host.IRQ) {
	const most = 16
	t := term.Table{Columns: []term.Column{{Head: "IRQ", Right: true, Fixed: true}, {Head: "COUNT", Right: true, Fixed: true}, {Head: "CPUS"},
		{Head: "VECTOR"}, {Head: "HANDLER"}}}
	for i, q := range irqs {
		if i == most {
			break
		}
		var names []string
		for _, h := range q.Handlers {
			names = append(names, h.Name)
		}
		cpus := ""
		if q.Affinity != nil {
			cpus = q.Affinity.Effective.String()
		}
		t.Row(fmt.Sprint(q.Number), fmt.Sprint(q.Total), cpus, q.Name(), strings.Join(names, ", "))
	}
	t.Write(a.out)
	if len(irqs) > most {
		fmt.Fprintf(a.out, "and %d more: ivt list\n", len(irqs)-most)
	}
}

// showBlind says what could not be seen, where there is something.
func (a *app) showBlind(blind []host.Blind) {
	for _, b := range blind {
		text := "not seen: " + b.What + ": " + b.Why
		if b.Cure != "" {
			text += "; " + b.Cure
		}
		fmt.Fprintln(a.errs, a.errs.Style(term.Dim, term.Safe(text)))
	}
}
