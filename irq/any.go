package irq

import (
	"strconv"
)

// maxDenied is how many free vectors a request for any may be denied by policy, one after the other,
// before it is refused: the Gate is asked under the lock.
const maxDenied = 4096

// checkAny is check for a request that names no vectors.
func (r *Registry) checkAny(q *Request, turn uint64) (p plan, at *queue, err *Error) {
	s := r.source(q.Any.Source)
	if s == nil || q.Gate != nil && !q.Gate.Visible(Vector{Source: q.Any.Source, Type: q.Any.Type}) {
		return p, nil, noSuchSourceError(q.Operation, q.Any.Source)
	}
	g := s.preferred(q.Any.Type)
	if g == nil {
		return p, nil, &Error{Code: ErrInvalidParameter, Operation: q.Operation, Name: s.spec.Name, Reason: ReasonOutOfRange,
			Detail: "the source has no vectors of type " + strconv.Quote(q.Any.Type)}
	}
	if s.leaving {
		return p, nil, leavingError(q.Operation, s)
	}
	if p, err = r.pick(q, g); err != nil {
		return p, &s.queue, err
	}
	if err = unsupported(q, p.lines); err != nil {
		return p, nil, err
	}
	if err = s.refuses(q, g, p.lines); err != nil {
		return p, &s.queue, err
	}
	return p, nil, nil
}

// preferred returns the group of that type; with none given the one in use, or the best.
func (s *Source) preferred(kind string) *group {
	if kind != "" {
		return s.group(kind)
	}
	for _, g := range s.groups {
		if s.spec.OneType && g.held > 0 {
			return g
		}
	}
	for _, kind := range []string{"", "msix", "msi", "intx"} {
		if g := s.group(kind); g != nil {
			return g
		}
	}
	return s.groups[0]
}

// pick takes the lowest free vectors that the caller may have.
func (r *Registry) pick(q *Request, g *group) (p plan, err *Error) {
	var refusal *Error
	denied := 0
	more := map[string]int{}
	for i := g.free.next(0); i >= 0 && len(p.lines) < q.Any.Count && denied < maxDenied; i = g.free.next(i + 1) {
		l := &g.lines[i]
		if q.Gate != nil {
			if !q.Gate.Visible(l.Vector()) {
				denied++
				continue
			}
			account, quota, err := q.Gate.Allow(l.Vector(), q)
			if err != nil {
				refusal = deniedError(q.Operation, l.Vector(), err)
				denied++
				continue
			}
			if more[account]++; quota > 0 && r.accounts[account]+more[account] > quota {
				return plan{}, quotaError(q.Operation, Vector{}, q.Any.Count, quota, r.accounts[account])
			}
			p.accounts = append(p.accounts, account)
		}
		p.lines = append(p.lines, l)
	}
	if len(p.lines) == q.Any.Count {
		return p, nil
	}
	if len(p.lines) == 0 && refusal != nil {
		return plan{}, refusal
	}
	return plan{}, shortError(q, g.source, q.Any.Count, len(p.lines), "the source has "+strconv.Itoa(len(p.lines))+" free vectors to be had")
}
