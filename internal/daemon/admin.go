package daemon

import (
	"fmt"
	"math"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// revoke takes a connection away from its holder, who may be stopped or gone.
func (s *Server) revoke(c *varlink.Call, k *caller) error {
	var in api.RevokeIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	if err := s.administrator(k, "revoke", in.Connection); err != nil {
		return err
	}
	if in.Grace < 0 || in.Grace > math.MaxInt64/int64(time.Second) {
		return malformed("revoke", in.Connection, "graceSeconds is no duration")
	}
	connection, err := s.registry.Connection(in.Connection)
	if err != nil {
		return err
	}
	why := in.Why
	if why == "" {
		why = fmt.Sprintf("revoked by %s", k.subject)
	}
	if err := connection.Revoke(s.base, time.Duration(in.Grace)*time.Second, why); err != nil {
		return err
	}
	return c.Reply(nil)
}

// detach lets a source go (rule 12).
func (s *Server) detach(c *varlink.Call, k *caller) error {
	var in api.DetachIn
	if err := c.Decode(&in); err != nil {
		return err
	}
	name, err := irq.ParseSource(in.Source)
	if err != nil {
		return err
	}
	if err := s.administrator(k, "detach", name); err != nil {
		return err
	}
	if err := s.sources.detach(c.Context(), name, in.Force); err != nil {
		return err
	}
	s.log.Info("source detached", "source", name, "force", in.Force, "uid", k.subject.UID)
	return c.Reply(nil)
}
