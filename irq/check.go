package irq

import "strconv"

// A plan is what a request would get: found by check, done by reserve, which cannot fail.
type plan struct {
	lines    []*Line
	accounts []string // one a line, nil without a Gate
}

// check decides a request in the order of rule 3, visibility, policy, conflict, and changes nothing.
// If waiting can help, queue is where: that of a vector in the way, or its source's. Locked.
func (r *Registry) check(q *Request, turn uint64) (p plan, at *queue, err *Error) {
	if r.closed {
		return p, nil, closedError("registry")
	}
	if q.Any != nil {
		return r.checkAny(q, turn)
	}
	if p.lines, err = r.find(q); err != nil {
		return p, nil, err
	}
	if p.accounts, err = r.allow(q, p.lines); err != nil {
		return p, nil, err
	}
	if err = unsupported(q, p.lines); err != nil {
		return p, nil, err
	}
	at, err = r.conflicts(q, p.lines, turn)
	return p, at, err
}

// find turns names into lines. What the caller may not see is not there.
func (r *Registry) find(q *Request) ([]*Line, *Error) {
	lines := make([]*Line, len(q.Vectors))
	for i, v := range q.Vectors {
		l, source := r.resolve(v)
		seen := v
		if l != nil {
			seen = l.Vector()
		}
		if source == nil || q.Gate != nil && !q.Gate.Visible(seen) {
			return nil, noSuchError(q.Operation, v)
		}
		lines[i] = l
	}
	for i, l := range lines {
		if l == nil {
			return nil, rangeError(q.Operation, q.Vectors[i], r.source(q.Vectors[i].Source))
		}
		if l.group.source.leaving {
			return nil, leavingError(q.Operation, l.group.source)
		}
	}
	if i := twice(lines); i >= 0 {
		return nil, twiceError(q, q.Vectors[i])
	}
	return lines, nil
}

// twice returns the index of a line that was there before, under another name, or -1.
func twice(lines []*Line) int {
	if len(lines) < 2 {
		return -1
	}
	seen := make(map[*Line]struct{}, len(lines))
	for i, l := range lines {
		if _, ok := seen[l]; ok {
			return i
		}
		seen[l] = struct{}{}
	}
	return -1
}

// resolve finds a vector by any of its names. The line is nil if the source has none such.
func (r *Registry) resolve(v Vector) (*Line, *Source) {
	if l := r.aliases[v]; l != nil {
		return l, l.group.source
	}
	s := r.source(v.Source)
	if s == nil {
		return nil, nil
	}
	return s.line(v.Type, v.Index), s
}

// allow asks the policy, and counts the quotas as if all were granted.
func (r *Registry) allow(q *Request, lines []*Line) ([]string, *Error) {
	if q.Gate == nil {
		return nil, nil
	}
	accounts := make([]string, len(lines))
	more := map[string]int{}
	for i, l := range lines {
		account, quota, err := q.Gate.Allow(l.Vector(), q)
		if err != nil {
			return nil, deniedError(q.Operation, l.Vector(), err)
		}
		more[account]++
		if used := r.accounts[account]; quota > 0 && used+more[account] > quota {
			return nil, quotaError(q.Operation, l.Vector(), len(lines), quota, used)
		}
		accounts[i] = account
	}
	return accounts, nil
}

// unsupported tells what these vectors can never do, whoever has them.
func unsupported(q *Request, lines []*Line) *Error {
	first := lines[0].group.source
	for _, l := range lines {
		g := l.group
		switch {
		case q.Trigger != TriggerDefault && q.Trigger != g.Trigger:
			return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Vector: l.Vector(), Reason: ReasonTriggerDiffers,
				Detail:   "the vector is " + string(g.Trigger) + "-triggered, not " + string(q.Trigger),
				Remedies: []string{"ask for trigger " + string(g.Trigger) + ", or leave the trigger out"}}
		case q.Shared && !g.Shareable:
			return &Error{Code: ErrNotSupported, Operation: q.Operation, Vector: l.Vector(), Reason: ReasonNotShareable,
				Detail:   "there is no copy of " + kindOf(g) + " for a second holder",
				Remedies: []string{"connect without sharing", "let one driver connect and pass the interrupts on"}}
		case q.Handler == nil && g.source.spec.Wiring == nil:
			return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Vector: l.Vector(), Reason: ReasonMalformed, Detail: "there is no handler"}
		case g.source == first && first.spec.OneType && g != lines[0].group:
			return &Error{Code: ErrInvalidParameter, Operation: q.Operation, Vector: l.Vector(), Reason: ReasonModeConflict,
				Detail: "the device has one interrupt type at a time, and the request names two"}
		}
	}
	return nil
}

func kindOf(g *group) string {
	switch g.Type {
	case "":
		return "this kind of vector"
	case "msi", "msix":
		return "a message-signalled interrupt"
	}
	return "an " + g.Type + " interrupt"
}

// conflicts lists everybody in the way: on the vectors themselves, else on their sources.
func (r *Registry) conflicts(q *Request, lines []*Line, turn uint64) (at *queue, err *Error) {
	if at, err = taken(q, lines, turn); err != nil {
		return at, err
	}
	for i, l := range lines {
		if i == 0 || l.group.source != lines[i-1].group.source {
			if err := l.group.source.refuses(q, l.group, lines); err != nil {
				return &l.group.source.queue, err
			}
		}
	}
	return nil, nil
}

// taken lists who is on the vectors. The code is 763 if that is any conflict's.
func taken(q *Request, lines []*Line, turn uint64) (at *queue, err *Error) {
	var found []Conflict
	for _, l := range lines {
		code, c := l.conflict(q, turn)
		switch {
		case code == 0:
			continue
		case code != ErrAlreadyConnected && code != ErrStillConnected && code != ErrBusy: // waiting does not help
			return nil, l.more.broken.forVector(q.Operation, l.Vector())
		case err == nil || err.Code != ErrAlreadyConnected && code == ErrAlreadyConnected:
			err = &Error{Code: code, Reason: c.Reason}
			if l.more.chain == nil {
				err = l.more.broken.forVector(q.Operation, l.Vector())
			}
		}
		if at == nil {
			at = &l.more.queue
		}
		found = append(found, c)
	}
	if err != nil {
		err = heldError(q, err, found)
	}
	return at, err
}

// conflict tells who keeps the request from the vector; code 0 is nobody.
func (l *Line) conflict(q *Request, turn uint64) (code Code, c Conflict) {
	if l.more == nil || l.more.chain == nil && l.more.broken == nil {
		return 0, c
	}
	c = Conflict{Vector: l.Vector(), Reason: ReasonHeld}
	switch state := l.state(); {
	case state == StateUnavailable:
		code, c.Reason = l.more.broken.Code, l.more.broken.Reason
	case state == StateDraining:
		code, c.Reason = ErrStillConnected, ReasonDraining
	case l.more.chain.shared && q.Shared:
		if !l.more.queue.before(turn) {
			return 0, c
		}
		code = ErrAlreadyConnected // whoever waits to have it alone would never get it
	case state == StateOrphaned:
		code, c.Reason = ErrAlreadyConnected, ReasonOrphaned
	case l.more.chain.shared || q.Shared:
		code, c.Reason = ErrAlreadyConnected, ReasonSharerRefuses
	default:
		code = ErrAlreadyConnected
	}
	c.Holders = l.holders()
	return code, c
}

// refuses tells what the source as a whole has against the request.
func (s *Source) refuses(q *Request, g *group, lines []*Line) *Error {
	here := 0
	for _, l := range lines {
		if l.group.source == s && (l.more == nil || l.more.chain == nil) {
			here++
		}
	}
	switch {
	case s.device != nil && !(s.device.consent && q.Access == AccessIRQ):
		return busyError(q, ReasonDeviceGranted, "the device is granted as a whole", s.device.conflicts(s))
	case q.Access == AccessDevice && s.held > 0:
		return busyError(q, ReasonDeviceGranted, "a driver that gets the device could take interrupts that others hold", s.inUse(nil))
	case s.spec.OneType && s.held > g.held:
		return busyError(q, ReasonModeConflict, "the device is connected in another interrupt mode", s.inUse(g))
	case s.spec.Budget > 0 && s.held+here > s.spec.Budget:
		return shortError(q, s, here, max(0, s.spec.Budget-s.held), "the source connects at most "+strconv.Itoa(s.spec.Budget)+" vectors at once")
	}
	return nil
}

// maxConflicts bounds what one refusal lists of a source as a whole.
const maxConflicts = 256

// inUse lists the vectors in use, except those of one group.
func (s *Source) inUse(except *group) (cs []Conflict) {
	for _, g := range s.groups {
		if g == except {
			continue
		}
		for i := g.used.next(0); i >= 0 && len(cs) < maxConflicts; i = g.used.next(i + 1) {
			cs = append(cs, Conflict{Vector: g.lines[i].Vector(), Reason: ReasonHeld, Holders: g.lines[i].holders()})
		}
	}
	return cs
}
