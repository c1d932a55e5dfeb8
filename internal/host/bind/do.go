package bind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/irq"
)

// Do carries the plan out. It asks first whether every file may be written, then takes the steps in order. If one fails,
// those before it are undone in reverse and the error says so; should undoing fail too, the error also has what is left to
// do by hand. The error is irq.ErrAccessDenied without the rights, irq.ErrStillConnected for a plan that was refused.
func (p *Plan) Do(ctx context.Context) error {
	if err := p.refusal(); err != nil {
		return err
	}
	for _, s := range p.Steps {
		if s.Kind != Attribute {
			continue
		}
		if err := p.machine.writable(s.Path); err != nil {
			return p.failed(s, err)
		}
	}
	for i, s := range p.Steps {
		err := ctx.Err()
		if err == nil {
			err = p.take(s)
		}
		if err != nil {
			return errors.Join(p.failed(s, err), p.undo(p.Steps[:i]))
		}
	}
	if err := p.verify(); err != nil {
		return errors.Join(err, p.undo(p.Steps))
	}
	return nil
}

// Undo puts everything back as it was before a Do that went well.
func (p *Plan) Undo(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.undo(p.Steps)
}

// undo undoes steps in reverse. It goes on after a failure: what can be put back is.
func (p *Plan) undo(steps []Step) error {
	var errs []error
	for i := len(steps) - 1; i >= 0; i-- {
		u := steps[i].Undo
		if u == nil {
			continue
		}
		if err := p.take(*u); err != nil {
			errs = append(errs, fmt.Errorf("it could not be put back: %w; by hand: %s", err, u.Command()))
		}
	}
	return errors.Join(errs...)
}

func (p *Plan) take(s Step) error {
	err := p.machine.take(s)
	// To take a function from a driver that it no longer has is done already.
	if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(s.Path, "/driver/unbind") {
		return nil
	}
	return err
}

// verify looks whether each function has the driver that it should have.
func (p *Plan) verify() error {
	for address, want := range p.want {
		if got := p.machine.link(deviceDir(address) + "/driver"); got != want {
			return &irq.Error{Code: irq.ErrNotSupported, Operation: p.Operation, Name: address,
				Detail:   fmt.Sprintf("the kernel took every step, and yet %s has it, not %s", orNothing(got), want),
				Remedies: []string{"look what the driver says: dmesg | tail"}}
		}
	}
	return nil
}

// failed explains why a step failed.
func (p *Plan) failed(s Step, err error) error {
	e := &irq.Error{Code: irq.ErrNotSupported, Operation: p.Operation, Name: p.Devices[0].Address, Err: err,
		Detail: s.What + ", by writing " + s.Path}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Code = irq.ErrCancelled
	case errors.Is(err, fs.ErrPermission):
		e.Code, e.Remedies = irq.ErrAccessDenied, []string{"run it as root: sudo ivt " + p.Operation + " " + p.Devices[0].Address}
	case errors.Is(err, fs.ErrNotExist):
		e.Code, e.Detail = irq.ErrNoSuchDevice, s.Path+" is gone"
	case errors.Is(err, syscall.EBUSY):
		e.Code, e.Remedies = irq.ErrBusy, []string{"another driver took it meanwhile: try again"}
	default:
		e.Remedies = []string{"look what the driver says: dmesg | tail"}
	}
	return e
}

// Command returns the step as a line for the shell.
func (s *Step) Command() string {
	switch s.Kind {
	case Create:
		return "write " + s.Path
	case Remove:
		return "rm " + s.Path
	}
	return fmt.Sprintf("echo %q > %s", strings.TrimSuffix(s.Value, "\n"), s.Path)
}

func orNothing(driver string) string {
	if driver == "" {
		return "no driver"
	}
	return driver
}
