//go:build linux

package source

import (
	"fmt"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// maxDefaultTable bounds a table that cannot grow when the policy sets no budget.
const maxDefaultTable = 64

// enable makes sure that v can be wired: its type is the one that is enabled, and its place is in the table.
// The registry lets only one type be connected at a time (170).
func (s *vfio) enable(v irq.Vector) error {
	if s.mode != v.Type {
		if err := s.disable(); err != nil {
			return fmt.Errorf("leave the interrupt mode %s for %s: %w", s.mode, v, err)
		}
		return s.enter(v)
	}
	if s.size > 0 && v.Index >= s.size {
		return s.tableFull(v)
	}
	return nil
}

// disable leaves the mode that is enabled. The function is reset first: some devices (QEMU's e1000e among them) do not
// survive a change of mode under a running timer.
func (s *vfio) disable() error {
	if s.mode == "" {
		return nil
	}
	for v, w := range s.wires {
		w.close(s.streams.relay)
		delete(s.wires, v)
	}
	s.reset()
	if err := s.port.Disable(indexOf(s.mode)); err != nil {
		return err
	}
	s.mode, s.size = "", 0
	return s.keepDevice()
}

// reset resets the function if it can be.
func (s *vfio) reset() {
	s.port.Reset() // ENOTTY, ENODEV: nothing more can be done, and nothing depends on it
}

// enter enables the mode of v. A table that can grow takes vectors one at a time as they are connected; one that
// cannot is sized once, for the whole budget, and never torn down to grow (that would lose interrupts).
func (s *vfio) enter(v irq.Vector) error {
	info := s.info[v.Type]
	switch {
	case v.Type == "intx":
		s.size = 0
	case info.Flags&kernel.VFIONoResize == 0:
		if short, err := s.port.Trigger(indexOf(v.Type), 0, -1); err != nil || short > 0 {
			return s.enableFailed(v, 1, short, err)
		}
	default:
		if err := s.sizeTable(v, info); err != nil {
			return err
		}
	}
	s.mode = v.Type
	return s.keepDevice()
}

// sizeTable sizes the table of a type that cannot grow. When the host has fewer vectors than the budget, so
// many are taken, if v is among them.
func (s *vfio) sizeTable(v irq.Vector, info kernel.VFIOIRQInfo) error {
	want := min(int(info.Count), maxDefaultTable)
	if s.settings.budget > 0 {
		want = min(int(info.Count), s.settings.budget)
	}
	if v.Index >= want {
		s.size = want
		return s.tableFull(v)
	}
	for asked := want; ; {
		short, err := s.port.Trigger(indexOf(v.Type), want-1, -1)
		if err == nil && short == 0 {
			s.size = want
			return nil
		}
		if err != nil || short >= want || v.Index >= short {
			return s.enableFailed(v, asked, short, err)
		}
		want = short
	}
}

func (s *vfio) enableFailed(v irq.Vector, want, short int, err error) error {
	return noResources(v, want, max(short, 0), fmt.Sprintf("%d vectors of type %s could not be set up", want, v.Type), err)
}

func (s *vfio) tableFull(v irq.Vector) error {
	e := noResources(v, v.Index+1, s.size, fmt.Sprintf("the table was sized to %d at first use, and this kernel cannot grow it", s.size), nil).(*irq.Error)
	e.Remedies = []string{fmt.Sprintf("set budget = %d or more in its [[device]], then detach and attach the device", v.Index+1), "use a lower index", "Linux 6.5 or later grows MSI-X tables"}
	return e
}
