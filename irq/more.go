package irq

// State is the state of a vector.
type State string

// The states. A connecting vector (wiring under way) shows as connected, with its holder to be.
const (
	StateFree        State = "free"
	StateConnected   State = "connected"
	StateDraining    State = "draining"    // the former holder's handler, or its wiring, is still being taken down
	StateOrphaned    State = "orphaned"    // holder gone, grace running
	StateUnavailable State = "unavailable" // with Info.Reason and Info.Detail
)

// more is what a vector needs once it is used. Guarded by Registry.mu.
type more struct {
	chain     *chain // nil while free
	queue     queue  // who is to be asked when it becomes free
	waiting   int    // waiters that named it
	former    bool   // it had a holder: the next is rung (rule 9)
	broken    *Error // unavailable
	aliases   []Vector
	taken     uint64 // by former holders
	unhandled uint64
}

// use returns the line's more, making it if need be. Locked.
func (l *Line) use() *more {
	if l.more == nil {
		l.more = &more{queue: queue{line: l}}
	}
	return l.more
}

// refile puts the line into the right sets of its group. Locked.
func (l *Line) refile() {
	g, i := l.group, int(l.index)
	if l.more.chain != nil {
		g.used.set(i)
	} else {
		g.used.clear(i)
	}
	if l.more.chain == nil && l.more.broken == nil {
		g.free.set(i)
	} else {
		g.free.clear(i)
	}
}

// holders returns who is on the line, oldest first. Locked.
func (l *Line) holders() []Holder {
	if l.more == nil {
		return nil
	}
	if l.more.chain == nil {
		if l.more.broken != nil && len(l.more.broken.Conflicts) > 0 {
			return l.more.broken.Conflicts[0].Holders
		}
		return nil
	}
	hs := make([]Holder, 0, len(l.more.chain.actions))
	for _, a := range l.more.chain.actions {
		hs = append(hs, a.conn.shown())
	}
	return hs
}

// state tells how the line stands. Locked.
func (l *Line) state() State {
	switch m := l.more; {
	case m == nil || m.chain == nil && m.broken == nil:
		return StateFree
	case m.chain == nil:
		return StateUnavailable
	default:
		return m.chain.state()
	}
}

// state is that of the liveliest of its actions. Locked by Registry.mu.
func (c *chain) state() State {
	state := StateDraining
	for _, a := range c.actions {
		switch a.conn.state {
		case connecting, connected, resuming:
			return StateConnected
		case orphaned:
			state = StateOrphaned
		}
	}
	return state
}
