package daemon

import (
	"errors"
	"time"

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
	if l != nil { // one after the other: the second finds the first's process, or nobody who got an answer
		l.resuming.Lock()
		defer l.resuming.Unlock()
	}
	if err := s.mayResume(k, l, connection, in.Token); err != nil {
		return err
	}
	tie, err := s.newTie(k)
	if err != nil {
		return err
	}
	h, was := k.holder, connection.Record()
	h.Label = was.Holder.Label
	before := l.fallBackOn(&earlier{in.Token, was.Holder, was.GraceEnds})
	if err := connection.Resume(s.base, h); err != nil {
		l.fallBackOn(before)
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
	case !former.SameProcess(k.holder) && process.Alive(former.PID, former.StartTime):
		e := &irq.Error{Code: irq.ErrAlreadyConnected, Operation: "resume", Name: c.ID(), Reason: irq.ReasonHeld,
			Detail: "the former holder still runs", Remedies: []string{"stop the former process first"}}
		for _, v := range c.Vectors() {
			e.Conflicts = append(e.Conflicts, irq.Conflict{Vector: v, Reason: irq.ReasonHeld, Holders: []irq.Holder{former}})
		}
		return e
	}
	return nil
}

// handAgain is hand for the next generation. If nobody gets it the connection is an orphan again, and the token that was used
// goes on being good.
func (s *Server) handAgain(c *varlink.Call, l *link, t *tie, connection *irq.Connection) error {
	defer kernel.Close(t.theirs)
	generation := connection.Generation()
	err := l.bind(t, connection)
	if err == nil {
		err = s.answerAgain(c, l, t, connection)
	}
	if err != nil {
		l.gone(generation)
		return err
	}
	l.fallBackOn(nil)
	l.note()
	return nil
}

func (s *Server) answerAgain(c *varlink.Call, l *link, t *tie, connection *irq.Connection) error {
	out := api.ResumeOut{Generation: connection.Generation(), Token: l.newToken(), Lifeline: new(int)}
	if err := l.remember(); err != nil {
		return err
	}
	p := page{fds: []int{t.theirs}}
	if err := s.fill(&p, connection, 0); err != nil {
		return err
	}
	defer p.close()
	out.Deliveries, out.Next = p.list, p.next
	return c.Reply(out, p.fds...)
}

// earlier is what a resumption replaces: what the connection is again if the new holder's answer never reaches it.
type earlier struct {
	Token     string     `json:"token"`
	Holder    irq.Holder `json:"holder"`
	GraceEnds time.Time  `json:"graceEnds"`
}

// fallBackOn sets what the connection is again if the resumption that begins now fails, nil when it has succeeded, and returns what
// was set before. It is kept with the next remember.
func (l *link) fallBackOn(e *earlier) (before *earlier) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.earlier = l.earlier, e
	return before
}

// unanswered makes the orphan again that a connection was, if a worker died between the beginning of a generation and the answer
// about it: whom that would have reached has no lifeline.
func (r *keptLink) unanswered() {
	r.Holder, r.GraceEnds = r.Earlier.Holder, r.Earlier.GraceEnds
}
