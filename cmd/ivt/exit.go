package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/irq"
)

// The exit statuses, as ivt --help lists them.
const (
	exitDone        = 0
	exitNo          = 1
	exitUsage       = 2 // or 87, 50
	exitTaken       = 3 // 763, 764, 170
	exitGone        = 4 // 433, 1167
	exitDenied      = 5
	exitResources   = 6 // 1450
	exitNoDaemon    = 7
	exitFindings    = 8
	exitExpired     = 124
	exitConnect     = 125 // ivt's own failure when a command was to be run
	exitInterrupted = 130
)

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// statusError ends with a status of its own; an empty error text prints nothing.
type statusError struct {
	status int
	error
}

func (e statusError) Unwrap() error { return e.error }

var errNobody = statusError{status: exitNo}

// noDaemonError is returned by commands that need ivtd when nobody answers.
type noDaemonError struct{ error }

func (e noDaemonError) Unwrap() error { return e.error }

func (a *app) status(err error) int {
	status := statusOf(err)
	switch {
	case errors.Is(err, irq.ErrAlreadyConnected) && a.conflictExit != 0:
		return a.conflictExit
	case a.withCommand:
		return exitConnect
	}
	return status
}

func statusOf(err error) int {
	var own statusError
	var usage usageError
	var daemon noDaemonError
	var refusal *irq.Error
	switch {
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &daemon):
		return exitNoDaemon
	case errors.As(err, &refusal):
		return codeStatus(refusal.Code)
	case errors.Is(err, fs.ErrPermission):
		return exitDenied
	}
	return exitNo
}

func codeStatus(c irq.Code) int {
	switch c {
	case irq.ErrInvalidParameter, irq.ErrNotSupported:
		return exitUsage
	case irq.ErrAlreadyConnected, irq.ErrStillConnected, irq.ErrBusy:
		return exitTaken
	case irq.ErrNoSuchDevice, irq.ErrNotConnected:
		return exitGone
	case irq.ErrAccessDenied:
		return exitDenied
	case irq.ErrNoResources:
		return exitResources
	case irq.ErrTimeout:
		return exitExpired
	}
	return exitNo
}

// report prints an error: JSON if asked for, laid out for a person on a terminal, one line in a pipe.
func (a *app) report(c *cobra.Command, err error) {
	var own statusError
	if errors.As(err, &own) && own.error == nil {
		return
	}
	if a.json {
		a.reportJSON(err)
		return
	}
	if a.errs.Terminal {
		a.layOut(c, err)
		return
	}
	fmt.Fprintln(a.errs, "ivt: "+oneLine(c, err))
}

func (a *app) reportJSON(err error) {
	var document any = map[string]any{"message": err.Error(), "status": statusOf(err)}
	var refusal *irq.Error
	if errors.As(err, &refusal) {
		document = refusal
	}
	text, jsonErr := json.Marshal(map[string]any{"error": document})
	if jsonErr != nil {
		text = fmt.Appendf(nil, `{"error":{"message":%q}}`, err.Error())
	}
	fmt.Fprintln(a.out, string(text))
}
