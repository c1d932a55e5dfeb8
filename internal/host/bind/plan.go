package bind

import (
	"context"
	"fmt"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// Bind plans to give a function to a driver. It changes nothing. If the function is in use the error is
// irq.ErrStillConnected, and the plan is there all the same, to be shown. Other errors come without a plan:
// irq.ErrInvalidParameter, irq.ErrNoSuchDevice, and irq.ErrNotSupported with the cure for a driver that is not loaded, a
// machine without IOMMU, a bridge.
func Bind(ctx context.Context, device string, o Options) (*Plan, error) {
	if o.Driver == "" {
		o.Driver = DefaultDriver
	}
	p, err := start("bind", device, o)
	if err != nil {
		return nil, err
	}
	p.Driver = o.Driver
	m := p.machine
	for _, d := range p.Devices {
		if d.bridge() {
			return nil, &irq.Error{Code: irq.ErrNotSupported, Operation: "bind", Name: d.Address, Detail: "it is a bridge, and what is behind it would be gone"}
		}
		if err := m.checkDriver("bind", o.Driver, d); err != nil {
			return nil, err
		}
		if err := m.checkIOMMU("bind", o.Driver, d); err != nil {
			return nil, err
		}
		if err := p.use(ctx, d, o); err != nil {
			return nil, err
		}
		p.bindSteps(d, o)
	}
	p.Notes = m.notes
	return p, p.refusal()
}

// Unbind plans to give a function back: to the driver that it had before [Bind], or if nobody knows to the one that the
// kernel chooses. A function that nobody took is irq.ErrInvalidParameter; the rest is as with Bind.
func Unbind(ctx context.Context, device string, o Options) (*Plan, error) {
	p, err := start("unbind", device, o)
	if err != nil {
		return nil, err
	}
	for i, d := range p.Devices {
		r := p.machine.record(d)
		rule := p.machine.exists(rulePath(d.Address))
		taken := r != nil || d.Override != "" || d.Driver == ""
		if !taken && !(o.Persist && rule) {
			if i > 0 {
				continue // of the rest of the group, those that were taken are given back
			}
			return nil, &irq.Error{Code: irq.ErrInvalidParameter, Operation: "unbind", Name: d.Address,
				Detail:   fmt.Sprintf("%s has it by the kernel's own choice: there is nothing to give back", d.Driver),
				Remedies: []string{"to take it from " + d.Driver + ": ivt bind " + d.Address}}
		}
		if err := p.use(ctx, d, o); err != nil {
			return nil, err
		}
		p.unbindSteps(d, r, taken, rule, o)
	}
	p.Driver = p.want[p.Devices[0].Address]
	p.Notes = p.machine.notes
	return p, p.refusal()
}

// start finds the functions that are concerned.
func start(operation, device string, o Options) (*Plan, error) {
	address, err := ParseDevice(device)
	if err != nil {
		return nil, err
	}
	m := newMachine(o.Root)
	d, err := m.device(operation, address)
	if err != nil {
		return nil, err
	}
	p := &Plan{Operation: operation, Devices: []Device{d}, InUse: []Use{}, Steps: []Step{}, Forced: o.Force, machine: m, want: map[string]string{}}
	if o.Group {
		others, err := m.companions(operation, d)
		if err != nil {
			return nil, err
		}
		p.Devices = append(p.Devices, others...)
	}
	return p, nil
}

// refusal is the error of a plan that would take something in use.
func (p *Plan) refusal() error {
	if len(p.InUse) == 0 || p.Forced {
		return nil
	}
	e := &irq.Error{Code: irq.ErrStillConnected, Operation: p.Operation, Name: p.Devices[0].Address, Reason: irq.ReasonKernelHolds}
	var what []string
	for _, u := range p.InUse {
		what = append(what, u.What)
		if u.Cure != "" {
			e.Remedies = append(e.Remedies, u.Cure)
		}
		if u.Kind == UseConnected || u.Kind == UseProcess {
			e.Reason = irq.ReasonForeignHolds
		}
	}
	if len(what) > 4 {
		what = append(what[:4], fmt.Sprintf("and %d more", len(what)-4))
	}
	e.Detail = strings.Join(what, "; ")
	e.Remedies = append(e.Remedies, "to do it all the same, and lose that: ivt "+p.Operation+" --force "+p.Devices[0].Address)
	return e
}

// bindSteps plans what gives one function to the driver. Our own files come first: if one of them cannot be written, the
// function was not touched.
func (p *Plan) bindSteps(d Device, o Options) {
	if o.Persist {
		p.add(p.machine.fileStep("give it to "+o.Driver+" at every boot", rulePath(d.Address), ruleText(d, o.Driver)))
	}
	if d.Driver == o.Driver {
		return
	}
	// A second bind in a row must not forget what was there before the first.
	if p.machine.record(d) == nil {
		p.add(p.machine.fileStep("keep what it had", recordPath(d.Address), recordText(d, o.Driver)))
	}
	if d.Driver != "" {
		p.add(Step{What: "take it from " + d.Driver, Path: driverDir(d.Driver) + "/unbind", Value: d.Address,
			Undo: &Step{What: "give it back to " + d.Driver, Path: driverDir(d.Driver) + "/bind", Value: d.Address}})
	}
	p.add(overrideStep(d, o.Driver))
	p.want[d.Address] = o.Driver
	p.add(Step{What: "give it to " + o.Driver, Path: driverDir(o.Driver) + "/bind", Value: d.Address,
		Undo: &Step{What: "take it from " + o.Driver, Path: deviceDir(d.Address) + "/driver/unbind", Value: d.Address}})
}

// unbindSteps plans what gives one function back.
func (p *Plan) unbindSteps(d Device, r *record, taken, rule bool, o Options) {
	if o.Persist && rule {
		p.add(p.machine.removeStep("no longer give it away at boot", rulePath(d.Address)))
	} else if rule {
		p.machine.note("the next boot gives it to " + orNothing(d.Driver) + " again: " + rulePath(d.Address) + "; unbind --persist removes that")
	}
	if !taken {
		return
	}
	override := ""
	if r != nil {
		override = r.Override
	}
	if d.Driver != "" {
		p.add(Step{What: "take it from " + d.Driver, Path: driverDir(d.Driver) + "/unbind", Value: d.Address,
			Undo: &Step{What: "give it back to " + d.Driver, Path: driverDir(d.Driver) + "/bind", Value: d.Address}})
	}
	p.add(overrideStep(d, override))
	undo := &Step{What: "take it back", Path: deviceDir(d.Address) + "/driver/unbind", Value: d.Address}
	switch {
	case r != nil && r.Previous == "":
		// It had no driver before.
	case r != nil && p.machine.exists(driverDir(r.Previous)):
		p.want[d.Address] = r.Previous
		p.add(Step{What: "give it to " + r.Previous, Path: driverDir(r.Previous) + "/bind", Value: d.Address, Undo: undo})
	default:
		p.add(Step{What: "let the kernel choose a driver", Path: "/sys/bus/pci/drivers_probe", Value: d.Address, Undo: undo})
	}
	if r != nil {
		p.add(p.machine.removeStep("forget what it had", recordPath(d.Address)))
	}
}

func (p *Plan) add(s Step) { p.Steps = append(p.Steps, s) }

// overrideStep sets driver_override. An empty line clears it (drivers/base/driver.c, driver_set_override).
func overrideStep(d Device, driver string) Step {
	line := func(s string) string { return s + "\n" }
	s := Step{What: "let " + driver + " alone have it", Path: deviceDir(d.Address) + "/driver_override", Value: line(driver),
		Undo: &Step{What: "restore the override", Path: deviceDir(d.Address) + "/driver_override", Value: line(d.Override)}}
	if driver == "" {
		s.What = "let every driver have it"
	}
	return s
}
