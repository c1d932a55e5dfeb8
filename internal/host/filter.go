package host

// A Filter chooses rows. The zero Filter chooses all; set fields must all hold.
type Filter struct {
	Target string // as Who takes; only what the Machine's parts can resolve
	Held   bool   // has a handler
	Free   bool   // has none
	PID    int    // a process with this pid holds it (PartHolders)
	Unit   string // a process of this unit holds it (PartHolders)
	Driver string // driver or handler name
	CPU    *int   // its effective affinity has the CPU, or it fired there
}

// Select returns the irqs of m that f chooses, in order. A malformed Target is irq.ErrInvalidParameter,
// one that m does not have irq.ErrNoSuchDevice.
func (m *Machine) Select(f Filter) ([]*IRQ, error) { return nil, errTodo }
