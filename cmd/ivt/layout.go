package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

// oneLine is an error for a pipe or a log, with the first thing to do about it.
func oneLine(c *cobra.Command, err error) string {
	text := term.Safe(err.Error())
	var refusal *irq.Error
	if errors.As(err, &refusal) && len(refusal.Remedies) > 0 {
		text += "; try: " + term.Safe(refusal.Remedies[0])
	}
	var usage usageError
	if errors.As(err, &usage) && c != nil {
		text += "; usage: " + c.UseLine()
	}
	return text
}

// layOut shows an error to a person.
func (a *app) layOut(c *cobra.Command, err error) {
	var refusal *irq.Error
	var daemon noDaemonError
	var usage usageError
	switch {
	case errors.As(err, &refusal):
		a.layRefusal(refusal)
	case errors.As(err, &daemon):
		a.layNoDaemon(c, daemon)
	default:
		fmt.Fprintln(a.errs, a.errs.Style(term.Red, "ivt: ")+term.Safe(err.Error()))
		if errors.As(err, &usage) && c != nil {
			fmt.Fprintf(a.errs, "usage: %s\nmore: %s --help\n", c.UseLine(), c.CommandPath())
		}
	}
}

func (a *app) layNoDaemon(c *cobra.Command, err error) {
	fmt.Fprintf(a.errs, "%s nobody answers\n", a.errs.Style(term.Bold+";"+term.Red, "no ivtd"))
	why, _, _ := strings.Cut(err.Error(), ": start one with") // what to do has lines of its own
	if c != nil {
		a.row("what", c.CommandPath())
	}
	a.row("why", why)
	a.row("do", "sudo systemctl start ivtd")
	a.row("or", "ivtd, which runs in this terminal until Ctrl-C")
	a.row("more", "ivt, ivt list, ivt who and ivt doctor work without it")
}

// row is a line of a laid out error.
func (a *app) row(head, text string) {
	if text != "" {
		fmt.Fprintf(a.errs, "  %s  %s\n", a.errs.Style(term.Dim, fmt.Sprintf("%-4s", head)), term.Safe(text))
	}
}

// layRefusal shows what happened, who is in the way, why, and what to do.
func (a *app) layRefusal(e *irq.Error) {
	o, row := a.errs, a.row
	fmt.Fprintf(o, "%s %s\n", o.Style(term.Bold+";"+term.Red, fmt.Sprintf("%d %s", uint32(e.Code), e.Code.Name())), e.Code.Text())
	row("what", e.Operation+" "+e.Subject())
	for i, c := range e.Conflicts {
		if i == 8 {
			row("", fmt.Sprintf("and %d more", len(e.Conflicts)-8))
			break
		}
		head := "who"
		if i > 0 {
			head = ""
		}
		for _, h := range c.Holders {
			row(head, c.Vector.String()+" is held by "+h.String())
			head = ""
		}
		if len(c.Holders) == 0 {
			row(head, c.Vector.String()+" is held by somebody unknown")
		}
	}
	row("why", e.Detail)
	if e.Rule != nil {
		row("rule", e.Rule.String())
	}
	if e.Err != nil {
		row("from", e.Err.Error())
	}
	for i, r := range e.Remedies {
		head := "do"
		if i > 0 {
			head = "or"
		}
		row(head, r)
	}
	row("more", fmt.Sprintf("ivt explain %d", uint32(e.Code)))
}
