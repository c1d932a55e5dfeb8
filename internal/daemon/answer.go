package daemon

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/daemon/process"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// A method serves one call of a known caller.
type method func(c *varlink.Call, k *caller) error

// handle makes a varlink handler of a method: it finds the caller, and answers with the refusal if there is one.
func (s *Server) handle(operation string, m method) varlink.Handler {
	return s.costing(1, operation, m)
}

// costing is handle for a method that costs as much as so many others.
func (s *Server) costing(calls int, operation string, m method) varlink.Handler {
	return func(c *varlink.Call) error {
		k, err := s.caller(c, operation)
		if err == nil {
			err = s.inTurn(c, k, calls, m)
		}
		return s.answer(c, operation, err)
	}
}

func (s *Server) inTurn(c *varlink.Call, k *caller, calls int, m method) error {
	if s.paced(k.subject, calls) {
		defer s.pace.take(k.subject.UID)()
	}
	return m(c, k)
}

// answer turns what went wrong into an error of the interface. What is not a refusal is a fault of ivtd's:
// varlink logs it.
func (s *Server) answer(c *varlink.Call, operation string, err error) error {
	if err == nil || c.Answered() {
		return err
	}
	refusal := refusalOf(err, operation)
	if refusal == nil {
		return err
	}
	if refusal.Code == irq.ErrNoResources && refusal.Err != nil {
		s.scarce(refusal.Err)
	}
	return c.Error(api.ErrorName(refusal.Code), api.FromError(presentable(refusal, operation)))
}

// scarceEvery is how often the log says that ivtd runs out of something.
const scarceEvery = 10 * time.Second

// scarce tells the log that somebody was refused for want of descriptors or memory, now and then.
func (s *Server) scarce(err error) {
	now, last := time.Now().UnixNano(), s.lastScarce.Load()
	if now-last >= int64(scarceEvery) && s.lastScarce.CompareAndSwap(last, now) {
		open, limit := kernel.DescriptorsInUse()
		s.log.Warn("out of descriptors or memory; who asks is refused, who is connected stays", "err", err, "descriptors", open, "limit", limit)
	}
}

// refusalOf returns the refusal in err, and one for a lack of descriptors or memory; nil for anything else.
func refusalOf(err error, operation string) *irq.Error {
	var refusal *irq.Error
	if errors.As(err, &refusal) && refusal.Code.Short() != "" {
		return refusal
	}
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.ETOOMANYREFS} {
		if errors.Is(err, errno) {
			return &irq.Error{Code: irq.ErrNoResources, Operation: operation, Reason: irq.ReasonQuota, Err: err,
				Detail:   fmt.Sprintf("ivtd ran out of what the kernel gives it (%v)", errno),
				Remedies: []string{"raise LimitNOFILE= of ivtd.service (RLIMIT_NOFILE)", "disconnect what is not needed"}}
		}
	}
	return nil
}

// presentable returns a copy of the refusal, which others may be reading, with the present names of holders: a
// process that connected and then executed its driver has another name now.
func presentable(e *irq.Error, operation string) *irq.Error {
	shown := *e
	if shown.Operation == "" {
		shown.Operation = operation
	}
	shown.Conflicts = slices.Clone(e.Conflicts)
	for i := range shown.Conflicts {
		shown.Conflicts[i].Holders = present(shown.Conflicts[i].Holders)
	}
	return &shown
}

// present returns the holders with their processes' present names.
func present(holders []irq.Holder) []irq.Holder {
	changed := holders
	for i, h := range holders {
		if h.Kind != irq.HolderProcess || h.Connection == "" || h.Left > 0 {
			continue
		}
		if name, ok := process.Command(h.PID, h.StartTime); ok && name != h.Command {
			if &changed[0] == &holders[0] {
				changed = slices.Clone(holders)
			}
			changed[i].Command = name
		}
	}
	return changed
}
