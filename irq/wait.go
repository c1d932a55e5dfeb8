package irq

import "context"

// A waiter is a Connect that queues. It stands in one queue at a time: that of a vector that keeps it
// waiting (or of a source, if no vector in particular does), and is asked again when that becomes free.
// So it reserves nothing, ten thousand on one vector cost one look when it is released, and who needs
// several vectors moves on to the queue of the next that is not free.
type waiter struct {
	q          *Request
	turn       uint64
	named      []*Line // for Info.Waiting
	in         *queue
	prev, next *waiter
	ready      chan struct{} // closed when conn or err is set
	conn       *Connection
	err        *Error
}

// A queue is waiters by turn. Guarded by Registry.mu.
type queue struct {
	first, last *waiter
	line        *Line // what they wait for; nil if it is a source's queue
}

// add puts w behind those with an earlier turn.
func (l *queue) add(w *waiter) {
	w.in, w.prev, w.next = l, l.last, nil
	for w.prev != nil && w.prev.turn > w.turn {
		w.next, w.prev = w.prev, w.prev.prev
	}
	if w.prev != nil {
		w.prev.next = w
	} else {
		l.first = w
	}
	if w.next != nil {
		w.next.prev = w
	} else {
		l.last = w
	}
}

func (l *queue) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		l.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		l.last = w.prev
	}
	w.in, w.prev, w.next = nil, nil, nil
}

// before reports whether somebody has waited for this vector alone since before that turn. Those who
// wait for several vectors reserve none and are in nobody's way.
func (l *queue) before(turn uint64) bool {
	for w := l.first; w != nil && w.turn < turn; w = w.next {
		if len(w.named) == 1 {
			return true
		}
	}
	return false
}

// newcomer is the turn of somebody who has not waited.
const newcomer = ^uint64(0)

// enqueue lets q wait. Locked.
func (r *Registry) enqueue(q *Request, at *queue) *waiter {
	w := &waiter{q: q, turn: q.Turn, ready: make(chan struct{})}
	if w.turn == 0 {
		w.turn = r.turn + 1
	}
	r.turn = max(r.turn, w.turn)
	for _, v := range q.Vectors {
		l, _ := r.resolve(v)
		w.named = append(w.named, l)
		l.use().waiting++
	}
	r.waiters[w] = struct{}{}
	at.add(w)
	return w
}

// dismiss ends a wait with an error. Locked.
func (r *Registry) dismiss(w *waiter, err *Error) {
	w.in.remove(w)
	r.unlist(w)
	w.err = err
	close(w.ready)
}

func (r *Registry) unlist(w *waiter) {
	delete(r.waiters, w)
	for _, l := range w.named {
		l.more.waiting--
	}
}

// await returns when w has got its vectors (reserved, not wired) or will not get them.
func (r *Registry) await(ctx context.Context, w *waiter) (*Connection, *Error) {
	if w.q.OnWait != nil {
		w.q.OnWait(w.turn)
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		r.mu.Lock()
		if w.in != nil {
			err := endedError(w.q.Operation, ctx)
			_, _, now := r.check(w.q, w.turn)
			if now != nil {
				err.Conflicts, err.Vector, err.Requested, err.Free = now.Conflicts, now.Vector, now.Requested, now.Free
				err.Detail = "the wait ended"
			}
			at := w.in
			r.dismiss(w, err)
			r.grant([]*queue{at}, 0) // sharers may have stood behind it
		}
		r.mu.Unlock()
	}
	return w.conn, w.err
}

// grant asks those who wait at these queues, in the order of rule 10: the successor first, then by turn.
// Locked; called whenever something has become free there.
func (r *Registry) grant(at []*queue, successor int) {
	if successor != 0 {
		for _, l := range at {
			for w, next := l.first, (*waiter)(nil); w != nil; w = next {
				next = w.next
				if w.q.Holder.PID == successor {
					r.offer(w)
				}
			}
		}
	}
	heads := make([]*waiter, 0, 4)
	for _, l := range at {
		if l.first != nil {
			heads = append(heads, l.first)
		}
	}
	for len(heads) > 0 {
		i := earliest(heads)
		w, l := heads[i], heads[i].in
		next := w.next
		if !r.offer(w) && w.in == l && l.bars(w) {
			next = nil
		}
		if next == nil {
			heads[i] = heads[len(heads)-1]
			heads = heads[:len(heads)-1]
		} else {
			heads[i] = next
		}
	}
}

// bars reports whether nobody behind w can have what w cannot: the vector has one holder who does not
// share it, or w has waited for it alone and goes first.
func (l *queue) bars(w *waiter) bool {
	if l.line == nil {
		return false
	}
	c := l.line.more.chain
	return len(w.named) == 1 || c != nil && !c.shared
}

func earliest(ws []*waiter) int {
	min := 0
	for i, w := range ws {
		if w.turn < ws[min].turn {
			min = i
		}
	}
	return min
}

// offer lets w in if it can have all it asked for, and reports whether it is done with waiting. Policy is
// asked again.
func (r *Registry) offer(w *waiter) (done bool) {
	p, at, err := r.check(w.q, w.turn)
	switch {
	case err == nil:
		w.in.remove(w)
		r.unlist(w)
		w.conn = r.reserve(w.q, p)
		close(w.ready)
		return true
	case at == nil:
		r.dismiss(w, err)
		return true
	}
	if at != w.in {
		w.in.remove(w)
		at.add(w)
	}
	return false
}
