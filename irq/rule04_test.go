package irq_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// Every "no" that the registry can say, with the code, reason and errno that it must have.
func TestRule4EveryNoHasItsCode(t *testing.T) {
	v := func(i int) irq.Vector { return irq.Vector{Source: "soft:demo", Index: i} }
	past, cancel := context.WithCancel(background)
	cancel()
	for _, c := range []struct {
		name   string
		ask    func(tb *table) error
		code   irq.Code
		reason irq.Reason
		errno  syscall.Errno
	}{
		{"held", func(tb *table) error { tb.connect(nil, v(0)); return second(tb.try(nil, v(0))) }, irq.ErrAlreadyConnected, irq.ReasonHeld, syscall.EBUSY},
		{"held by the kernel", func(tb *table) error {
			tb.demo.SetUnavailable(v(0), &irq.Error{Code: irq.ErrAlreadyConnected, Reason: irq.ReasonKernelHolds,
				Conflicts: []irq.Conflict{{Vector: v(0), Reason: irq.ReasonKernelHolds, Holders: []irq.Holder{{Kind: irq.HolderKernel, Driver: "e1000e"}}}}})
			return second(tb.try(nil, v(0)))
		}, irq.ErrAlreadyConnected, irq.ReasonKernelHolds, syscall.EBUSY},
		{"in a grace period", func(tb *table) error {
			tb.connect(grace(time.Minute), v(0)).HolderDied()
			return second(tb.try(nil, v(0)))
		}, irq.ErrAlreadyConnected, irq.ReasonOrphaned, syscall.EBUSY},
		{"detach while connected", func(tb *table) error { tb.connect(nil, v(0)); return tb.demo.Detach(background, false) }, irq.ErrStillConnected, irq.ReasonHeld, syscall.EBUSY},
		{"the device in another mode", func(tb *table) error {
			tb.attach(irq.SourceSpec{Name: "pci:0", OneType: true, Groups: []irq.Group{{Type: "msi", Count: 2}, {Type: "msix", Count: 2}}})
			tb.connect(nil, irq.Vector{Source: "pci:0", Type: "msi"})
			return second(tb.try(nil, irq.Vector{Source: "pci:0", Type: "msix"}))
		}, irq.ErrBusy, irq.ReasonModeConflict, syscall.EBUSY},
		{"the device granted", func(tb *table) error {
			tb.connect(func(q *irq.Request) { q.Access = irq.AccessDevice }, v(0))
			return second(tb.try(nil, v(1)))
		}, irq.ErrBusy, irq.ReasonDeviceGranted, syscall.EBUSY},
		{"a malformed name", func(tb *table) error { return second(irq.ParseVector("soft:demo")) }, irq.ErrInvalidParameter, irq.ReasonMalformed, syscall.EINVAL},
		{"an index too large", func(tb *table) error { return second(tb.try(nil, v(16))) }, irq.ErrInvalidParameter, irq.ReasonOutOfRange, syscall.EINVAL},
		{"the wrong trigger", func(tb *table) error {
			return second(tb.try(func(q *irq.Request) { q.Trigger = irq.TriggerLevel }, v(0)))
		}, irq.ErrInvalidParameter, irq.ReasonTriggerDiffers, syscall.EINVAL},
		{"sharing what cannot be", func(tb *table) error {
			tb.attach(irq.SourceSpec{Name: "pci:0", Groups: []irq.Group{{Type: "msix", Count: 2}}})
			return second(tb.try(sharing, irq.Vector{Source: "pci:0", Type: "msix"}))
		}, irq.ErrNotSupported, irq.ReasonNotShareable, syscall.EOPNOTSUPP},
		{"masking what cannot be", func(tb *table) error {
			tb.attach(irq.SourceSpec{Name: "pci:0", Groups: []irq.Group{{Type: "msix", Count: 2}}})
			c := tb.connect(nil, irq.Vector{Source: "pci:0", Type: "msix"})
			return c.Mask(1, irq.Vector{Source: "pci:0", Type: "msix"})
		}, irq.ErrNotSupported, irq.ReasonNotMaskable, syscall.EOPNOTSUPP},
		{"no such source", func(tb *table) error { return second(tb.try(nil, irq.Vector{Source: "soft:none"})) }, irq.ErrNoSuchDevice, irq.ReasonNoSuchSource, syscall.ENODEV},
		{"a closed connection", func(tb *table) error {
			c := tb.connect(nil, v(0))
			tb.disconnect(c)
			return c.Disconnect(background)
		}, irq.ErrNotConnected, irq.ReasonClosed, syscall.ENOTCONN},
		{"a revoked connection", func(tb *table) error {
			c := tb.connect(nil, v(0))
			if err := c.Revoke(background, 0, "maintenance"); err != nil {
				return err
			}
			return c.Err()
		}, irq.ErrNotConnected, irq.ReasonRevoked, syscall.ENOTCONN},
		{"an older generation", func(tb *table) error { return tb.connect(nil, v(0)).Ack(7, 0, 1, true) }, irq.ErrNotConnected, irq.ReasonStaleGeneration, syscall.ENOTCONN},
		{"a source that left", func(tb *table) error {
			c := tb.connect(nil, v(0))
			if err := tb.demo.Detach(background, true); err != nil {
				return err
			}
			return c.Err()
		}, irq.ErrNotConnected, irq.ReasonSourceGone, syscall.ENOTCONN},
		{"too few vectors", func(tb *table) error {
			return second(tb.try(func(q *irq.Request) { q.Any = &irq.Any{Source: "soft:demo", Count: 17} }))
		}, irq.ErrNoResources, irq.ReasonNotEnoughVectors, syscall.ENOSPC},
		{"the quota", func(tb *table) error { return second(tb.try(gated(&gate{quota: 1}), v(0), v(1))) }, irq.ErrNoResources, irq.ReasonQuota, syscall.ENOSPC},
		{"the policy", func(tb *table) error { return second(tb.try(gated(&gate{denied: map[int]bool{0: true}}), v(0))) }, irq.ErrAccessDenied, irq.ReasonDenied, syscall.EACCES},
		{"a wait that expired", func(tb *table) error {
			tb.connect(nil, v(0))
			ctx, cancel := context.WithTimeout(background, time.Millisecond)
			defer cancel()
			return second(tb.Connect(ctx, irq.Request{Vectors: []irq.Vector{v(0)}, Handler: (&driver{}).handle, Wait: true}))
		}, irq.ErrTimeout, irq.ReasonTimeout, syscall.ETIMEDOUT},
		{"a wait that was cancelled", func(tb *table) error {
			return second(tb.Connect(past, irq.Request{Vectors: []irq.Vector{v(0)}, Handler: (&driver{}).handle, Wait: true}))
		}, irq.ErrCancelled, irq.ReasonCancelled, syscall.ECANCELED},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.ask(newTable(t, irq.SourceSpec{}))
			e := refused(t, err, c.code, c.reason)
			if !errors.Is(err, numberOf(c.code, c.errno)) {
				t.Errorf("%v does not match %v", err, c.errno)
			}
			if e.Operation == "" && c.code != irq.ErrNotConnected {
				t.Errorf("%+v does not say what was tried", e)
			}
			for _, other := range irq.Codes() {
				if other != c.code && errors.Is(err, other) {
					t.Errorf("%v matches %v too", err, other)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// What a Wiring returns becomes a refusal with a code.
func TestRule4AFailureOfTheWiringHasItsCode(t *testing.T) {
	known := &irq.Error{Code: irq.ErrNoResources, Reason: irq.ReasonHostVectorsFull}
	for _, c := range []struct {
		err  error
		code irq.Code
	}{
		{known, irq.ErrNoResources}, {syscall.EACCES, irq.ErrAccessDenied}, {syscall.ENODEV, irq.ErrNoSuchDevice},
		{syscall.EBUSY, irq.ErrAlreadyConnected}, {errors.New("odd"), irq.ErrNoResources},
		{context.DeadlineExceeded, irq.ErrTimeout}, {context.Canceled, irq.ErrCancelled},
	} {
		tb := newTable(t, irq.SourceSpec{Wiring: &wire{fail: map[string]error{"wire soft:demo/0 for pid 1": c.err}}})
		_, err := tb.try(as(1, nil), tb.v(0))
		if !errors.Is(err, c.code) {
			t.Errorf("%v became %v", c.err, err)
		}
		var e *irq.Error
		if errors.As(err, &e); e.Vector != tb.v(0) || e.Operation != "connect" {
			t.Errorf("%+v", e)
		}
		if c.err != known && !errors.Is(err, c.err) {
			t.Errorf("%v does not wrap %v", err, c.err)
		}
	}
}
