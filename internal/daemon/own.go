package daemon

import (
	"errors"
	"fmt"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// own returns a connection that the caller holds: its process and no other, whoever knows the id (rule 7).
func (s *Server) own(k *caller, id, operation string) (*irq.Connection, error) {
	c, err := s.registry.Connection(id)
	if err != nil {
		return nil, err
	}
	if h := c.Holder(); !h.SameProcess(k.holder) {
		return nil, &irq.Error{Code: irq.ErrAccessDenied, Operation: operation, Name: id, Reason: irq.ReasonDenied,
			Detail:   fmt.Sprintf("the connection is held by %s, not by pid %d", h, k.holder.PID),
			Rule:     &irq.Rule{Text: "built in: who holds a connection is who may use it"},
			Remedies: []string{"ask the holder", "sudo ivt revoke " + id}}
	}
	return c, nil
}

// current refuses a generation that is over.
func current(c *irq.Connection, generation uint64, operation string) error {
	if now := c.Generation(); now != generation {
		return &irq.Error{Code: irq.ErrNotConnected, Operation: operation, Name: c.ID(), Reason: irq.ReasonStaleGeneration,
			Detail: fmt.Sprintf("generation %d is over, the present one is %d", generation, now), Remedies: []string{"use what the last connect or resume returned"}}
	}
	return nil
}

// ruled returns a connection that the caller holds, or may rule over as an administrator, who need not know the
// generation: 0 is the present one. mine tells which of the two.
func (s *Server) ruled(k *caller, in api.ConnectionIn, operation string) (c *irq.Connection, mine bool, err error) {
	c, err = s.own(k, in.Connection, operation)
	mine = err == nil
	if errors.Is(err, irq.ErrAccessDenied) && s.live.Load().Administrator(k.subject) {
		c, err = s.registry.Connection(in.Connection)
		if err == nil && in.Generation == 0 {
			return c, mine, nil
		}
	}
	if err == nil {
		err = current(c, in.Generation, operation)
	}
	return c, mine, err
}

func (s *Server) disconnect(c *varlink.Call, k *caller) error {
	var in api.ConnectionIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	connection, mine, err := s.ruled(k, in, "disconnect")
	switch {
	case err != nil:
		return err
	case mine:
		if l := s.link(in.Connection); l != nil {
			l.leaves()
		}
		err = connection.Disconnect(s.base)
	default:
		err = connection.Revoke(s.base, 0, "disconnected by "+k.subject.String())
	}
	if err != nil {
		return err
	}
	return c.Reply(nil)
}

func (s *Server) setSuccessor(c *varlink.Call, k *caller) error {
	var in api.SetSuccessorIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	if in.PID < 0 {
		return malformed("set successor", in.Connection, "a pid is not negative")
	}
	connection, err := s.own(k, in.Connection, "set successor")
	if err == nil {
		err = connection.SetSuccessor(in.Generation, in.PID)
	}
	if err != nil {
		return err
	}
	s.noteChange(in.Connection)
	return c.Reply(nil)
}

func (s *Server) mask(c *varlink.Call, k *caller) error {
	return s.setMask(c, k, "mask", (*irq.Connection).Mask)
}

func (s *Server) unmask(c *varlink.Call, k *caller) error {
	return s.setMask(c, k, "unmask", (*irq.Connection).Unmask)
}

func (s *Server) setMask(c *varlink.Call, k *caller, operation string, do func(*irq.Connection, uint64, irq.Vector) error) error {
	var in api.MaskIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	v, err := parseVector(in.Vector, operation)
	if err != nil {
		return err
	}
	connection, _, err := s.ruled(k, in.ConnectionIn, operation)
	if err == nil {
		err = do(connection, connection.Generation(), v)
	}
	if err != nil {
		return err
	}
	s.noteChange(in.Connection)
	return c.Reply(nil)
}

// seen looks a vector up for a caller; one that policy hides is not there.
func (s *Server) seen(k *caller, v irq.Vector, operation string) (irq.Info, error) {
	info, err := s.registry.Lookup(v)
	if err == nil && !k.gate.Visible(info.Vector) {
		err = noSuchSource(operation, v.String())
	}
	var refusal *irq.Error
	if errors.As(err, &refusal) {
		named := *refusal
		named.Operation = operation
		return info, &named
	}
	return info, err
}

// noteChange keeps what was changed of a connection.
func (s *Server) noteChange(id string) {
	if l := s.link(id); l != nil {
		l.note()
	}
}
