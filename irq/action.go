package irq

import (
	"sync/atomic"
	"time"
)

// An action is one connection on one vector (Linux calls it irqaction). Its word is the whole hot state:
// the flags below, and above them how many interrupts went the short way, one delivery each.
//
// running is set by compare-and-swap and makes its owner, the runner, the only one to call the handler:
// that serialises the handler and is what Disconnect waits for (rule 5). Whoever finds it set leaves
// pending behind, and the runner looks again after it has let go.
type action struct {
	word    atomic.Uint64
	handler Handler // nil if the kernel delivers; set before off is cleared
	slot    int
	given   atomic.Uint64  // deliveries that went the long way
	taken   atomic.Uint64  // interrupts in them
	late    *atomic.Uint64 // interrupts to be delivered: the line's, or own if the line has a chain
	own     atomic.Uint64
	line    *Line
	conn    *Connection
	chain   *chain
	account string // whom the vector counts against
	wired   bool   // the handler is the source's: quick, so it runs on whatever goroutine
	live    bool   // wired now; of whoever brings the connection up or down

	// The rest is guarded by chain.mu.
	debt      debt
	owed      uint64    // sequence of the last delivery that went the long way
	acked     uint64    // sequence of the last acknowledgement
	asked     time.Time // since when it owes
	extra     extra     // what sources told beside the count, for the next delivery
	noted     bool
	unhandled uint64
	storm     storm
}

// extra is of an Interrupt what a source tells.
type extra struct {
	time       int64
	lost, data uint64
	rang       bool
}

const (
	running uint64 = 1 << iota // a handler runs
	pending                    // look again
	ringing                    // wake it even if nothing arrived (rule 9)
	masked                     // by the holder
	stormy                     // by rule 11
	off                        // not connected yet, draining or orphaned
	careful                    // every delivery goes the long way: level, shared, or suspected of a storm
	arrival = 1 << 16
	flags   = arrival - 1
	blocked = masked | stormy | off
)

// Who makes an action look for something to deliver.
type kicker bool

const (
	byRaiser   kicker = true  // Raise, whose goroutine may run the handler
	byRegistry kicker = false // unmasking, ringing, acknowledging: nobody who should run it
)

// maxRounds is how often a raiser goes on delivering what others raise meanwhile.
const maxRounds = 1000

// kick delivers what there is to deliver, or sees to it that somebody does.
func (a *action) kick(by kicker) {
	if ring, ok := a.enter(); ok {
		if by == byRaiser && !a.chain.shared || a.wired {
			a.run(ring, 0)
		} else {
			a.conn.r.async(func() { a.run(ring, 0) })
		}
	}
}

// enter makes the caller the runner, unless there is one or the action is blocked.
func (a *action) enter() (ring, ok bool) {
	for {
		w := a.word.Load()
		switch {
		case w&blocked != 0:
			return false, false
		case w&running != 0:
			if a.word.CompareAndSwap(w, w|pending) {
				return false, false
			}
		case a.word.CompareAndSwap(w, w&^(pending|ringing)|running):
			return w&ringing != 0, true
		}
	}
}

// run delivers, as the runner, until nothing is left or somebody else is to go on.
func (a *action) run(ring bool, round int) {
	for ok := true; ok; round++ {
		if i, ok := a.take(ring); ok {
			if v := a.handler(i); v != Handled || a.word.Load()&careful != 0 {
				a.settle(i.Sequence, v)
			}
		}
		ring, ok = a.leave(a.word.Add(^uint64(running-1)), round)
	}
}

// leave is what is left to do when the runner has let go and left w: end a drain, or be the runner again.
func (a *action) leave(w uint64, round int) (ring, ok bool) {
	switch {
	case w&off != 0:
		a.conn.drained()
	case w&blocked != 0 || w&(pending|ringing) == 0:
	case a.chain.level && !a.wired || round > maxRounds:
		a.kick(byRegistry) // a line that stays asserted must not keep its raiser for ever
	default:
		return a.enter()
	}
	return false, false
}

// take makes a delivery of what has gathered. Only the runner calls it.
func (a *action) take(ring bool) (i Interrupt, ok bool) {
	c := a.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.level && a.debt != due && !ring {
		return i, false
	}
	i.Count = a.late.Swap(0)
	if a.noted {
		i.Time, i.Lost, i.Data, ring = a.extra.time, a.extra.lost, a.extra.data, ring || a.extra.rang
		a.extra, a.noted = extra{}, false
	}
	i.Rang = ring
	if i.Count == 0 && !i.Rang && i.Lost == 0 {
		if a.debt == due { // a ring has taken what fired: nobody will acknowledge it
			c.owes(a, none)
		}
		return i, false
	}
	a.taken.Add(i.Count)
	i.Slot, i.Sequence = a.slot, a.word.Load()/arrival+a.given.Add(1)
	a.owed = i.Sequence
	if c.level {
		c.owes(a, owing)
	}
	return i, true
}

// note keeps what a source told beside the count until the next delivery.
func (a *action) note(i Interrupt) {
	if i.Time == 0 && i.Lost == 0 && i.Data == 0 && !i.Rang {
		return
	}
	a.chain.mu.Lock()
	defer a.chain.mu.Unlock()
	a.noteLocked(i)
}

func (a *action) noteLocked(i Interrupt) {
	if !a.noted || a.extra.time == 0 {
		a.extra.time = i.Time
	}
	a.extra.lost += i.Lost
	a.extra.data |= i.Data
	a.extra.rang = a.extra.rang || i.Rang
	a.noted = true
}

// ring wakes the action once more (rule 9).
func (a *action) ring() {
	a.conn.r.totals.rang.Add(1)
	a.word.Or(ringing)
	if a.chain.fans() && a.line.late.Load() > 0 {
		a.chain.raise(Interrupt{})
	}
	a.kick(byRegistry)
}

// Counts are what an action has been given, summed over both ways.
func (a *action) counts() (sequence, taken uint64) {
	for {
		fast, given, slow := a.word.Load()/arrival, a.given.Load(), a.taken.Load()
		if a.word.Load()/arrival == fast && a.given.Load() == given {
			return fast + given, fast + slow
		}
	}
}
