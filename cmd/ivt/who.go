//go:build linux

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/term"
)

func (a *app) whoCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "who TARGET",
		GroupID: groupLook,
		Short:   "who holds it; exit status 1 if nobody does",
		Long: `Who says who holds a target: a vector (pci:0000:3b:00.0/msix/2, soft:demo/3, irq:36), an irq number, a PCI
address, a /dev path (/dev/vfio/12: which process makes it busy), a network interface or its queue (eth0, eth0/rx-3),
a block device, a GPIO line by name or gpiochip0/17, a pid, a unit.`,
		Example: "  ivt who 36\n  ivt who eth0\n  ivt who /dev/vfio/12\n  ivt who soft:demo/3",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.who(c, args[0])
		},
	}
}

func (a *app) who(c *cobra.Command, target string) error {
	answer, err := a.answer(c, target)
	if err != nil {
		return err
	}
	if a.json {
		err = a.document(answer)
	} else {
		err = a.showAnswer(answer)
	}
	if err == nil && !answer.Held() {
		return errNobody
	}
	return err
}

// answer asks ivtd for the vectors that it hands out, the kernel for all others.
func (a *app) answer(c *cobra.Command, target string) (*host.Answer, error) {
	if a.root == "" {
		if answer, ok, err := a.askDaemon(c.Context(), target); ok || err != nil {
			return answer, err
		}
	}
	root, err := a.machine()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Who(c.Context(), target)
}

func (a *app) showAnswer(w *host.Answer) error {
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
	if !w.Held() {
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
	return nil
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
