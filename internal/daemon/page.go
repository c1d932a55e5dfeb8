package daemon

import (
	"errors"
	"slices"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
	"github.com/ivtd/ivt/varlink"
)

// A page is as much of a connection's deliveries as one message carries.
type page struct {
	list              []api.Delivery
	next              string
	device, container *int
	fds               []int // what goes with the message
	copies            []int // those of fds that are ours to close
}

// fill adds deliveries from vector number from on, until the message is full.
func (s *Server) fill(p *page, c *irq.Connection, from int) error {
	vectors := c.Vectors()
	generation := c.Generation()
	p.list = []api.Delivery{}
	for i := from; i < len(vectors); i++ {
		v := vectors[i]
		if len(p.fds)+4 > api.MaxDescriptors && i > from {
			p.next = vectors[i-1].String()
			return nil
		}
		src := s.sources.get(v.Source)
		if src == nil {
			p.close()
			return sourceGone("connect", v)
		}
		d, err := src.Descriptors(irq.Claim{Vector: v, Connection: c.ID(), Generation: generation})
		if err != nil {
			p.close()
			return err
		}
		p.add(v, d)
	}
	return nil
}

// add takes over the copies in d. Device and container come once, with the first vector that has them.
func (p *page) add(v irq.Vector, d source.Descriptors) {
	delivery := api.Delivery{Vector: v.String(), Kind: d.Delivery, Descriptor: *p.put(d.FD)}
	delivery.Unmask = p.put(d.Unmask)
	p.list = append(p.list, delivery)
	for _, once := range []struct {
		fd int
		to **int
	}{{d.Device, &p.device}, {d.Container, &p.container}} {
		switch {
		case once.fd < 0:
		case *once.to == nil:
			*once.to = p.put(once.fd)
		default:
			kernel.Close(once.fd)
		}
	}
}

// put appends a descriptor and returns its index, nil for none.
func (p *page) put(fd int) *int {
	if fd < 0 {
		return nil
	}
	index := len(p.fds)
	p.fds = append(p.fds, fd)
	p.copies = append(p.copies, fd)
	return &index
}

// close closes the copies, after they were sent or instead of it.
func (p *page) close() {
	for _, fd := range p.copies {
		kernel.Close(fd)
	}
	p.copies, p.fds = nil, nil
}

func sourceGone(operation string, v irq.Vector) *irq.Error {
	return &irq.Error{Code: irq.ErrNotConnected, Operation: operation, Vector: v, Reason: irq.ReasonSourceGone,
		Detail: "the source has left", Remedies: []string{"connect again when it is back: ivt watch " + v.Source}}
}

// deliveries sends the next page.
func (s *Server) deliveries(c *varlink.Call, k *caller) error {
	var in api.DeliveriesIn
	if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
		return err
	}
	connection, err := s.own(k, in.Connection, "get deliveries")
	if err == nil {
		err = current(connection, in.Generation, "get deliveries")
	}
	if err != nil {
		return err
	}
	after, err := parseVector(in.After, "get deliveries")
	if err != nil {
		return err
	}
	from := slices.Index(connection.Vectors(), after)
	if from < 0 {
		return malformed("get deliveries", in.After, "the connection has no such vector")
	}
	var p page
	if err := s.fill(&p, connection, from+1); err != nil {
		return err
	}
	defer p.close()
	return c.Reply(api.DeliveriesOut{Deliveries: p.list, Next: p.next}, p.fds...)
}
