package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// shown is everything known of one vector.
type shown struct {
	Vector  string
	Ours    *irq.Info
	Kernel  *host.IRQ
	History []irq.Event
	Blind   []host.Blind // why ivtd's side is missing
}

// document is what is shown as JSON: ivtd's side in the words of the Varlink interface.
func (s *shown) document() any {
	d := struct {
		Vector  string       `json:"vector"`
		Ours    *api.Vector  `json:"ivtd,omitempty"`
		Kernel  *host.IRQ    `json:"kernel,omitempty"`
		History []api.Event  `json:"history,omitempty"`
		Blind   []host.Blind `json:"blind,omitempty"`
	}{Vector: s.Vector, Kernel: s.Kernel, Blind: s.Blind}
	if s.Ours != nil {
		v := api.FromInfo(*s.Ours)
		d.Ours = &v
	}
	for _, e := range s.History {
		d.History = append(d.History, api.FromEvent(e))
	}
	return d
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "show VECTOR",
		GroupID:           groupLook,
		Short:             "everything known of one vector",
		Args:              cobra.ExactArgs(1),
		RunE:              func(c *cobra.Command, args []string) error { return a.show(c, args[0]) },
		ValidArgsFunction: a.completeVectors,
	}
}

func (a *app) show(c *cobra.Command, name string) error {
	v, err := irq.ParseVector(name)
	if err != nil {
		return err
	}
	s := shown{Vector: v.String()}
	client, denied, err := a.dialIfAllowed(c.Context())
	if err != nil {
		return err
	}
	var refusal error
	switch {
	case denied != nil:
		s.Blind, refusal = []host.Blind{picture.Unseen(denied)}, denied
	case client != nil:
		defer client.Close()
		refusal = a.showOurs(c, client, &s)
	}
	if err := a.showKernel(c, v, &s); err != nil && refusal == nil {
		refusal = err
	}
	if s.Ours == nil && s.Kernel == nil {
		if refusal == nil {
			refusal = &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "show", Vector: v, Reason: irq.ReasonNoSuchSource,
				Detail: "neither the kernel nor ivtd has it", Remedies: []string{"ivt list", "is ivtd running? make run, or systemctl status ivtd"}}
		}
		return refusal
	}
	if a.json {
		return a.document(s.document())
	}
	a.printShown(&s)
	a.showBlind(s.Blind)
	return nil
}

// showOurs asks ivtd; that it has no such vector is no error yet.
func (a *app) showOurs(c *cobra.Command, client *ivt.Client, s *shown) error {
	info, err := client.Lookup(c.Context(), s.Vector)
	if err != nil {
		return err
	}
	if info.Vector.Scheme() != "irq" {
		s.Ours = &info
	}
	for e, err := range client.History(c.Context(), s.Vector, time.Time{}) {
		if err != nil {
			return err
		}
		s.History = append(s.History, e)
	}
	return nil
}

func (a *app) showKernel(c *cobra.Command, v irq.Vector, s *shown) error {
	root, err := a.machine()
	if err != nil {
		return err
	}
	defer root.Close()
	number := -1
	names := []irq.Vector{v}
	if s.Ours != nil {
		names = append(names, s.Ours.Aliases...)
	}
	for _, n := range names {
		if n.Source == "irq" {
			number = n.Index
		}
	}
	if number < 0 && v.Scheme() != "pci" {
		return nil
	}
	if number < 0 {
		m, err := root.Read(c.Context(), host.Options{Parts: host.PartList})
		if err != nil {
			return err
		}
		for i := range m.IRQs {
			if m.IRQs[i].Vector == v {
				number = m.IRQs[i].Number
			}
		}
	}
	if number < 0 {
		return nil
	}
	s.Kernel, err = root.IRQ(c.Context(), number, host.PartAll)
	var missing *irq.Error
	if errors.As(err, &missing) && s.Ours != nil {
		return nil
	}
	return err
}

func (a *app) printShown(s *shown) {
	o := a.out
	fmt.Fprintln(o, o.Style(term.Bold, s.Vector))
	row := func(head, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); text != "" {
			fmt.Fprintf(o, "  %-12s %s\n", head, term.Safe(text))
		}
	}
	if i := s.Ours; i != nil {
		row("state", "%s", ourState(i))
		for _, h := range i.Holders {
			row("held by", "%s", h)
		}
		row("delivery", "%s, %s, %s", i.Delivery, i.Trigger, yesNo(i.Shareable, "shareable", "exclusive only"))
		row("protected", "%s", protection(i.Protection))
		if i.Counted {
			row("arrived", "%d, taken %d, unhandled %d", i.Arrived, i.Taken, i.Unhandled)
		} else {
			row("arrived", "counted by the kernel: see below")
		}
		row("also called", "%s", names(i.Aliases))
		row("instance", "%s", i.Instance)
		for _, h := range i.Overdue {
			row("overdue", "%s has not acknowledged", h)
		}
	}
	if q := s.Kernel; q != nil {
		a.printIRQ(q, row)
	}
	if n := len(s.History); n > 0 {
		fmt.Fprintln(o, o.Style(term.Dim, "  lately"))
		for _, e := range s.History[max(0, n-8):] {
			fmt.Fprintf(o, "    %s\n", term.Safe(eventText(&e)))
		}
	}
}

func (a *app) printIRQ(q *host.IRQ, row func(string, string, ...any)) {
	var names []string
	for _, h := range q.Handlers {
		name := h.Name
		if h.Thread != 0 {
			name += fmt.Sprintf(" (threaded, pid %d)", h.Thread)
		}
		names = append(names, name)
	}
	row("linux irq", "%d, %s %s %s", q.Number, q.Chip, q.Flow, q.Trigger)
	row("handlers", "%s", strings.Join(names, "; "))
	for _, h := range q.Holders {
		row("held by", "%s", holderText(h))
		if h.Cure != "" {
			row("", "%s", h.Cure)
		}
	}
	row("device", "%s", strings.TrimSpace(q.Source+" "+q.Driver))
	row("count", "%d", q.Total)
	if f := q.Affinity; f != nil {
		row("asked CPUs", "%s", f.Asked)
		row("effective", "%s", f.Effective)
		row("managed", "by the kernel: %s; settable: %s", f.Managed, f.Settable)
		if f.Node >= 0 {
			row("NUMA node", "%d", f.Node)
		}
	}
	if sp := q.Spurious; sp != nil {
		row("unhandled", "%d of the last %d", sp.Unhandled, sp.Count)
	}
}

func ourState(i *irq.Info) string {
	text := string(i.State)
	if i.Masked {
		text += ", masked"
	}
	if i.Storm {
		text += ", storm"
	}
	if i.Waiting > 0 {
		text += fmt.Sprintf(", %d waiting", i.Waiting)
	}
	if i.Detail != "" {
		text += ": " + i.Detail
	}
	return text
}

func names(vectors []irq.Vector) string {
	var list []string
	for _, v := range vectors {
		list = append(list, v.String())
	}
	return strings.Join(list, ", ")
}

func yesNo(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func protection(p string) string {
	switch p {
	case "kernel":
		return "by the kernel: nobody else can wire it"
	case "permissions":
		return "by file permissions: who may open the device can go around ivt"
	case "agreement":
		return "by agreement only: among those who ask ivt"
	}
	return p
}
