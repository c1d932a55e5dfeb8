package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// maxLabel is the longest label, in bytes.
const maxLabel = 128

func (s *Server) connect(c *varlink.Call, k *caller) error {
	var in api.ConnectIn
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	vectors, err := s.parse(in.Vectors, "connect")
	if err != nil {
		return err
	}
	return s.grant(c, k, in.Terms, irq.Request{
		Vectors: vectors, Shared: in.Shared, Trigger: in.Trigger, Access: in.Access, Consent: in.Consent,
	})
}

func (s *Server) connectAny(c *varlink.Call, k *caller) error {
	var in api.ConnectAnyIn
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	source, err := irq.ParseSource(in.Source)
	if err != nil {
		return err
	}
	if most := s.live.Load().Limits.VectorsPerRequest; in.Count < 1 || most > 0 && in.Count > most {
		return malformed("connect", in.Source, fmt.Sprintf("count is %d, it may be 1 to %d", in.Count, most))
	}
	return s.grant(c, k, in.Terms, irq.Request{Any: &irq.Any{Source: source, Type: in.Type, Count: in.Count}, Trigger: in.Trigger})
}

// parse reads the names of a request.
func (s *Server) parse(names []string, operation string) ([]irq.Vector, error) {
	most := s.live.Load().Limits.VectorsPerRequest
	if len(names) == 0 || most > 0 && len(names) > most {
		return nil, malformed(operation, "", fmt.Sprintf("%d vectors in one request, there may be 1 to %d", len(names), most))
	}
	vectors := make([]irq.Vector, len(names))
	for i, name := range names {
		v, err := parseVector(name, operation)
		if err != nil {
			return nil, err
		}
		vectors[i] = v
	}
	return vectors, nil
}

// parseVector is irq.ParseVector with the operation that the name was for.
func parseVector(name, operation string) (irq.Vector, error) {
	v, err := irq.ParseVector(name)
	var refusal *irq.Error
	if errors.As(err, &refusal) {
		refusal.Operation = operation
	}
	return v, err
}

func malformed(operation, name, detail string) *irq.Error {
	return &irq.Error{Code: irq.ErrInvalidParameter, Operation: operation, Name: name, Reason: irq.ReasonMalformed, Detail: detail,
		Remedies: []string{"ivt explain 87"}}
}

// terms checks what both ways of connecting have in common, and puts it into the request.
func (s *Server) terms(k *caller, t api.Terms, q *irq.Request) error {
	limits := s.live.Load().Limits
	if len(t.Label) > maxLabel {
		return malformed("connect", "", fmt.Sprintf("the label has %d bytes, %d are allowed", len(t.Label), maxLabel))
	}
	for _, r := range t.Label {
		if !unicode.IsPrint(r) {
			return malformed("connect", "", fmt.Sprintf("the label has %U, which does not print", r))
		}
	}
	if t.Timeout < 0 || t.Timeout > math.MaxInt64/int64(time.Millisecond) {
		return malformed("connect", "", "timeoutMilliseconds is no duration")
	}
	if most := int64(limits.GraceMax / time.Second); t.Grace < 0 || limits.GraceMax > 0 && t.Grace > most {
		return malformed("connect", "", fmt.Sprintf("graceSeconds is %d, the policy allows 0 to %d (grace_max)", t.Grace, most))
	}
	q.Operation, q.Gate, q.Holder = "connect", k.gate, k.holder
	q.Holder.Label = t.Label
	q.Wait = t.Wait || t.Timeout > 0
	q.Grace = time.Duration(t.Grace) * time.Second
	q.DryRun = t.DryRun
	return nil
}

// grant asks the registry and answers with the connection's descriptors.
func (s *Server) grant(c *varlink.Call, k *caller, t api.Terms, q irq.Request) error {
	if err := s.terms(k, t, &q); err != nil {
		return err
	}
	if err := s.precheck(k, &q); err != nil {
		return err
	}
	if q.DryRun {
		if _, err := s.registry.Connect(s.base, q); err != nil {
			return err
		}
		return c.Reply(api.ConnectOut{Deliveries: []api.Delivery{}})
	}
	counted, err := s.take(k, connectionsOf, s.live.Load().Limits.ConnectionsPerUser, "connections_per_user", "connect")
	if err != nil {
		return err
	}
	tie, err := s.newTie(k)
	if err != nil {
		counted()
		return err
	}
	l := &link{server: s, subject: k.subject, counted: counted, lifeline: -1}
	q.OnNotice = l.notice
	l.asked = askedOf(q)
	connection, err := s.await(c, k, t, q, tie.process)
	if err != nil {
		tie.close()
		counted()
		return s.left(err)
	}
	return s.hand(c, l, tie, connection)
}

// await asks the registry; a request that may wait is cancelled by the end of its session, of its process,
// of its patience and of the server.
func (s *Server) await(c *varlink.Call, k *caller, t api.Terms, q irq.Request, process *watched) (*irq.Connection, error) {
	if !q.Wait {
		return s.registry.Connect(s.base, q)
	}
	giveBack, err := s.take(k, waitingOf, s.live.Load().Limits.WaitingPerUser, "waiting_per_user", "connect")
	if err != nil {
		return nil, err
	}
	defer giveBack()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if t.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(t.Timeout)*time.Millisecond)
		defer cancel()
	}
	defer process.onDeath(cancel)()
	defer s.queued(&q)()
	connection, err := s.registry.Connect(ctx, q)
	return connection, s.withConflicts(q, err)
}

// withConflicts adds who is in the way to a wait that was over before it began.
func (s *Server) withConflicts(q irq.Request, err error) error {
	var refusal *irq.Error
	if !errors.As(err, &refusal) || refusal.Code != irq.ErrTimeout || len(refusal.Conflicts) > 0 {
		return err
	}
	late := *refusal
	late.Conflicts, _ = s.others(q) // any other refusal would have come before the end of the wait
	return &late
}

// hand ties the granted connection to its holder and sends it what it gets. If that fails the connection is over.
func (s *Server) hand(c *varlink.Call, l *link, t *tie, connection *irq.Connection) error {
	defer kernel.Close(t.theirs)
	out := api.ConnectOut{Connection: connection.ID(), Generation: connection.Generation(), Token: l.newToken()}
	s.keep(l, connection.ID())
	if err := errors.Join(l.bind(t, connection), l.remember()); err != nil {
		return s.undo(connection, err)
	}
	p := page{fds: []int{t.theirs}}
	out.Lifeline = new(int)
	if err := s.fill(&p, connection, 0); err != nil {
		return s.undo(connection, err)
	}
	defer p.close()
	out.Deliveries, out.Next, out.Device, out.Container = p.list, p.next, p.device, p.container
	if err := c.Reply(out, p.fds...); err != nil {
		return s.undo(connection, err)
	}
	return nil
}

// undo ends a connection that its holder never got.
func (s *Server) undo(connection *irq.Connection, why error) error {
	if err := connection.Disconnect(context.Background()); err != nil && !errors.Is(err, irq.ErrNotConnected) {
		return errors.Join(why, err)
	}
	return why
}
