package irq

import (
	"cmp"
	"iter"
	"slices"
)

// A roll is the established connections, oldest first. Leaving makes a hole, and holes are closed when
// they are half of it, so both joining and leaving cost the same at any length.
type roll struct {
	entries []enrolled
	holes   int
	last    uint64
}

type enrolled struct {
	order uint64
	c     *Connection // nil: a hole
}

func (l *roll) add(c *Connection) {
	l.last++
	c.order = l.last
	l.entries = append(l.entries, enrolled{l.last, c})
}

func (l *roll) find(order uint64) (int, bool) {
	return slices.BinarySearchFunc(l.entries, order, func(e enrolled, order uint64) int { return cmp.Compare(e.order, order) })
}

func (l *roll) remove(order uint64) {
	i, ok := l.find(order)
	if !ok {
		return
	}
	l.entries[i].c = nil
	if l.holes++; l.holes > len(l.entries)/2 {
		l.entries = slices.DeleteFunc(l.entries, func(e enrolled) bool { return e.c == nil })
		l.holes = 0
	}
}

// after returns at most n connections that joined after order.
func (l *roll) after(order uint64, n int) (cs []*Connection) {
	i, _ := l.find(order + 1)
	for ; i < len(l.entries) && len(cs) < n; i++ {
		if c := l.entries[i].c; c != nil {
			cs = append(cs, c)
		}
	}
	return cs
}

// Connections iterates over all connections, oldest first, without holding the lock between steps.
func (r *Registry) Connections() iter.Seq[*Connection] {
	return func(yield func(*Connection) bool) {
		for order := uint64(0); ; {
			r.mu.Lock()
			cs := r.roll.after(order, 64)
			r.mu.Unlock()
			if len(cs) == 0 {
				return
			}
			for _, c := range cs {
				if order = c.order; !yield(c) {
					return
				}
			}
		}
	}
}
