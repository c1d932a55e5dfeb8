package daemon

import (
	"errors"
	"slices"

	"github.com/ivtd/ivt/irq"
)

// A foreign is a vector that no source of ivtd has and the machine does: the kernel's own.
type foreign struct {
	vector   irq.Vector
	holders  []irq.Holder // empty: nobody requested it
	remedies []string
}

// foreign asks the host about a vector. A look at the machine costs milliseconds, so no user has more than one under way.
func (s *Server) foreign(k *caller, v irq.Vector) (f foreign, ok bool) {
	if s.config.Host == nil || !s.unknown(v) || !k.gate.Visible(v) {
		return foreign{}, false
	}
	defer s.asking.take(k.subject.UID)()
	holders, remedies, known, err := s.config.Host.Holders(s.base, v)
	if err != nil {
		s.log.Warn("ask the machine who holds a vector", "vector", v.String(), "err", err)
	}
	return foreign{v, holders, remedies}, known && err == nil
}

func (f foreign) info() irq.Info {
	info := irq.Info{Vector: f.vector, State: irq.StateUnavailable, Reason: irq.ReasonKernelHolds, Holders: f.holders,
		Detail: "held outside ivtd: a driver of the kernel has it"}
	if len(f.holders) == 0 {
		info.Reason, info.Detail = irq.ReasonNoSuchSource, "nobody has it, and ivtd has no source for its device"
	}
	return info
}

// precheck refuses a request for vectors that no source of ivtd has. Where a name is of no source, but of an interrupt that a driver
// of the kernel has, the answer is 763 with that driver, beside every other conflict of the request (rule 1).
//
// What a policy does not mention counts as allowed here: ivtd could grant the vector to nobody, and who has
// it stands in /proc/interrupts for everybody. A rule that refuses or hides the vector is obeyed.
func (s *Server) precheck(k *caller, q *irq.Request) error {
	if s.config.Host == nil || !slices.ContainsFunc(q.Vectors, s.unknown) {
		return nil
	}
	rest, conflicts, remedies := *q, []irq.Conflict(nil), []string(nil)
	rest.Vectors = nil
	for _, v := range q.Vectors {
		f, ok := s.foreign(k, v)
		if !ok || len(f.holders) == 0 {
			rest.Vectors = append(rest.Vectors, v)
			continue
		}
		if denied := k.gate.Explicit(v, q.Operation); denied != nil {
			return s.recorded(k, denied)
		}
		conflicts = append(conflicts, irq.Conflict{Vector: v, Reason: reasonFor(f.holders), Holders: f.holders})
		remedies = append(remedies, f.remedies...)
	}
	if conflicts == nil {
		return nil // the registry says that there is no such thing
	}
	more, refused := s.others(rest)
	if refused != nil {
		return refused // it says what nobody could have guessed: hidden, denied or misspelt
	}
	return s.recorded(k, &irq.Error{Code: irq.ErrAlreadyConnected, Operation: q.Operation, Vector: only(q.Vectors), Reason: conflicts[0].Reason,
		Detail: "a driver of the kernel has it, and ivt takes nothing from the kernel", Conflicts: append(conflicts, more...), Remedies: unique(remedies)})
}

// unknown reports whether no source has v under any name.
func (s *Server) unknown(v irq.Vector) bool {
	if s.registry.Source(v.Source) != nil {
		return false
	}
	_, err := s.registry.Lookup(v)
	return errors.Is(err, irq.ErrNoSuchDevice)
}

// others finds what else is in the way of a request, without the kernel's vectors.
func (s *Server) others(rest irq.Request) ([]irq.Conflict, error) {
	if len(rest.Vectors) == 0 {
		return nil, nil
	}
	rest.DryRun, rest.Wait, rest.OnNotice = true, false, nil
	_, err := s.registry.Connect(s.base, rest)
	var refusal *irq.Error
	if errors.As(err, &refusal) && refusal.Code == irq.ErrAlreadyConnected {
		return refusal.Conflicts, nil
	}
	return nil, err
}

// recorded puts a refusal that the registry did not make into the history (rule 13).
func (s *Server) recorded(k *caller, e *irq.Error) error {
	h := k.holder
	s.registry.Emit(irq.Event{Kind: irq.EventRefused, Vector: e.Vector, Holder: &h, Refused: e, Reason: e.Reason})
	return e
}

func reasonFor(holders []irq.Holder) irq.Reason {
	if holders[0].Kind == irq.HolderKernel {
		return irq.ReasonKernelHolds
	}
	return irq.ReasonForeignHolds
}

func only(vectors []irq.Vector) irq.Vector {
	if len(vectors) == 1 {
		return vectors[0]
	}
	return irq.Vector{}
}

func unique(list []string) (kept []string) {
	for _, text := range list {
		if !slices.Contains(kept, text) {
			kept = append(kept, text)
		}
	}
	return kept
}
