package daemon

import (
	"context"
	"errors"

	"github.com/ivtd/ivt/irq"
)

// Reload reads the policy again and puts it into force at once. A policy with mistakes changes nothing: the old
// one stays, and the error says what is wrong. Nobody is revoked, unless the new policy says revoke_on_reload;
// then whoever it would refuse now loses the connection.
func (s *Server) Reload(ctx context.Context) error {
	p, err := s.config.Load()
	if err != nil {
		s.log.Error("the new policy has mistakes and is not used; the old one stays in force", "err", err)
		return err
	}
	old := s.live.Load()
	s.live.Store(p)
	if p.Limits.AckDeadline != old.Limits.AckDeadline || p.Limits.History != old.Limits.History || p.Limits.SessionsPerUser != old.Limits.SessionsPerUser {
		s.log.Warn("ack_deadline, history and sessions_per_user take effect when ivtd starts anew")
	}
	s.sources.open(ctx, p)
	s.log.Info("policy reloaded", "policy", p.Summary())
	if p.RevokeOnReload {
		return s.revokeDenied(ctx)
	}
	return nil
}

// revokeDenied takes away what the policy in force would not grant.
func (s *Server) revokeDenied(ctx context.Context) error {
	var failed error
	for c := range s.registry.Connections() {
		l := s.link(c.ID())
		if l == nil {
			continue
		}
		denied := s.denied(l, c)
		if denied == nil {
			continue
		}
		s.log.Warn("revoked by the new policy", "connection", c.ID(), "holder", c.Holder().String(), "why", denied)
		if err := c.Revoke(ctx, 0, "the policy was changed: "+denied.Error()); err != nil && !errors.Is(err, irq.ErrNotConnected) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func (s *Server) denied(l *link, c *irq.Connection) error {
	gate := s.live.Gate(l.subject)
	for _, v := range c.Vectors() {
		if !gate.Visible(v) {
			return errors.New("it hides " + v.String())
		}
		if _, _, err := gate.Allow(v, &irq.Request{Operation: "connect", Access: l.asked.access, Shared: l.asked.shared}); err != nil {
			return err
		}
	}
	return nil
}
