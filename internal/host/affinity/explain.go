package affinity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/irq"
)

// managed explains why user space may not place an irq.
func managed(s *State) *irq.Error {
	e := refuse(irq.ErrNotSupported, s.IRQ, "it is managed: the kernel places it, one for each queue of the device",
		"to keep it off some CPUs, boot with isolcpus=managed_irq,LIST",
		"to have fewer of them, ask the driver for fewer queues (ethtool -L, or a parameter of its module)")
	if s.ManagedBy == byMode {
		e.Detail = "its file is read-only: it is managed, so the kernel places it, or its driver keeps it where it is"
	}
	e.Reason = irq.ReasonKernelHolds
	return e
}

// explain turns the errno of a write into a reason (kernel/irq/proc.c, write_irq_affinity; kernel/irq/manage.c).
func (c *Change) explain(ctx context.Context, err error, cpus host.CPUSet, o Options) error {
	number := c.Before.IRQ
	var e *irq.Error
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EIO):
		e = c.notSettable()
	case errors.Is(err, syscall.EACCES):
		e = refuse(irq.ErrAccessDenied, number, c.Path+" may not be written", fmt.Sprintf("run it as root: sudo ivt affinity irq:%d %s", number, c.Value))
		e.Reason = irq.ReasonDenied
	case errors.Is(err, syscall.ENOSPC):
		e = noVector(ctx, number, cpus.And(c.Before.Online), o)
	case errors.Is(err, syscall.EBUSY):
		e = refuse(irq.ErrBusy, number, "an earlier move is not over: it ends when the interrupt next arrives", "try again")
	case errors.Is(err, syscall.EINVAL):
		e = refuse(irq.ErrInvalidParameter, number, fmt.Sprintf("the kernel does not take CPU %s", c.Value), "online are "+c.Before.Online.String())
	case errors.Is(err, syscall.EOVERFLOW):
		e = refuse(irq.ErrInvalidParameter, number, fmt.Sprintf("CPU %s is beyond what this kernel can have", c.Value), "online are "+c.Before.Online.String())
	case errors.Is(err, fs.ErrNotExist):
		e = refuse(irq.ErrNoSuchDevice, number, "it is gone")
	default:
		e = refuse(irq.ErrNotSupported, number, "writing "+c.Path)
	}
	e.Err = err
	return e
}

// notSettable tells the reasons apart that give one errno: managed, per CPU, or excluded from balancing by its driver.
func (c *Change) notSettable() *irq.Error {
	switch c.Before.Managed {
	case host.Yes:
		return managed(&c.Before)
	case host.No:
		return refuse(irq.ErrNotSupported, c.Before.IRQ, "its driver keeps it where it is (per CPU, or IRQF_NOBALANCING)")
	}
	e := managed(&c.Before)
	e.Detail = "the kernel does not let it be placed: it is managed, or its driver keeps it where it is; " +
		"which of them only the vector map tells, as root (ivt list --map)"
	return e
}

// noVector explains ENOSPC: no vector is left on any of the CPUs (irq_matrix_alloc in kernel/irq/matrix.c).
func noVector(ctx context.Context, number int, cpus host.CPUSet, o Options) *irq.Error {
	e := refuse(irq.ErrNoResources, number, "no vector is left on CPU "+cpus.String(),
		"ivt list --map shows who has them", "fewer queues of network cards and disks free some: ethtool -L, or parameters of their drivers")
	e.Reason, e.Requested = irq.ReasonHostVectorsFull, 1
	if o.Map == nil {
		return e
	}
	m, err := o.Map(ctx)
	if err != nil {
		return e
	}
	if !m.Exact() {
		e.Detail += ", and the map that would show it can only be inferred here"
		return e
	}
	if full := fullOnes(m, cpus); len(full) > 0 {
		e.Detail = "no vector is left: " + strings.Join(full, ", ")
	}
	if cpu, free := roomiest(m); free > 0 {
		e.Remedies = append([]string{fmt.Sprintf("take a CPU with room: CPU %d has %d free", cpu, free)}, e.Remedies...)
	}
	return e
}

// fullOnes says how full each of the CPUs is that has nothing left; more than eight are counted.
func fullOnes(m *vectormap.Map, cpus host.CPUSet) []string {
	var full []string
	n := 0
	for cpu := range cpus.All {
		c := m.CPU(cpu)
		if c == nil || c.Available > 0 {
			continue
		}
		if n++; n <= 8 {
			text := fmt.Sprintf("CPU %d (%d in use", cpu, c.Allocated)
			if aside := c.Managed - c.ManagedAllocated; aside > 0 {
				text += fmt.Sprintf(", %d set aside for managed irqs", aside)
			}
			full = append(full, text+")")
		}
	}
	if n > 8 {
		full = append(full, fmt.Sprintf("and %d more", n-8))
	}
	return full
}

// roomiest returns the online CPU with the most vectors free.
func roomiest(m *vectormap.Map) (cpu, free int) {
	for _, c := range m.CPUs {
		if c.Online && c.Available > free {
			cpu, free = c.Number, c.Available
		}
	}
	return cpu, free
}
