package daemon

import (
	"errors"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/daemon/process"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// resume gives a connection whose process died to the process that was started in its place: of the same user
// and unit, with the token that only the former one was told.
func (s *Server) resume(c *varlink.Call, k *caller) error {
	var in api.ResumeIn
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	connection, err := s.registry.Connection(in.Connection)
	if err != nil {
		return err
	}
	l := s.link(in.Connection)
	if err := s.mayResume(k, l, connection, in.Token); err != nil {
		return err
	}
	tie, err := s.newTie(k)
	if err != nil {
		return err
	}
	h := k.holder
	h.Label = connection.Holder().Label
	if err := connection.Resume(s.base, h); err != nil {
		tie.close()
		return err
	}
	return s.handAgain(c, l, tie, connection)
}

// mayResume is the identity that a token is good with.
func (s *Server) mayResume(k *caller, l *link, c *irq.Connection, token string) error {
	former := c.Holder()
	switch {
	case l == nil, former.UID == nil, *former.UID != k.subject.UID, former.Unit != k.subject.Unit, !l.knows(token):
		return &irq.Error{Code: irq.ErrAccessDenied, Operation: "resume", Name: c.ID(), Reason: irq.ReasonDenied,
			Detail:   "the user, the unit or the token is not that of the former holder",
			Rule:     &irq.Rule{Text: "built in: the same user and unit resumes, with the token"},
			Remedies: []string{"connect anew when the grace is over: ivt connect --wait"}}
	case process.Alive(former.PID, former.StartTime):
		e := &irq.Error{Code: irq.ErrAlreadyConnected, Operation: "resume", Name: c.ID(), Reason: irq.ReasonHeld,
			Detail: "the former holder still runs", Remedies: []string{"stop the former process first"}}
		for _, v := range c.Vectors() {
			e.Conflicts = append(e.Conflicts, irq.Conflict{Vector: v, Reason: irq.ReasonHeld, Holders: []irq.Holder{former}})
		}
		return e
	}
	return nil
}

// handAgain is hand for the next generation.
func (s *Server) handAgain(c *varlink.Call, l *link, t *tie, connection *irq.Connection) error {
	defer kernel.Close(t.theirs)
	if err := l.bind(t, connection); err != nil {
		return s.undo(connection, err)
	}
	out := api.ResumeOut{Generation: connection.Generation(), Token: l.newToken(), Lifeline: new(int)}
	if err := l.remember(); err != nil {
		return s.undo(connection, err)
	}
	p := page{fds: []int{t.theirs}}
	if err := s.fill(&p, connection, 0); err != nil {
		return s.undo(connection, err)
	}
	defer p.close()
	out.Deliveries, out.Next = p.list, p.next
	if err := c.Reply(out, p.fds...); err != nil {
		return s.undo(connection, err)
	}
	return nil
}
