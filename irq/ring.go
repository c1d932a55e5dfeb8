package irq

import (
	"slices"
	"sort"
)

// A ring is the last events by sequence. One that was taken out leaves its sequence and no kind; such
// holes are closed a few at a time.
type ring struct {
	events []Event
	most   int // events that are not holes
	holes  int
}

// add appends e and returns what fell out for it; its kind is empty if nothing did.
func (l *ring) add(e Event) (out Event) {
	if l.holes > 8+l.most/8 {
		l.events = slices.DeleteFunc(l.events, func(e Event) bool { return e.Kind == "" })
		l.holes = 0
	}
	for len(l.events)-l.holes >= l.most && out.Kind == "" {
		if out = l.events[0]; out.Kind == "" {
			l.holes--
		}
		l.events[0] = Event{}
		l.events = l.events[1:]
	}
	l.events = append(l.events, e)
	return out
}

func (l *ring) drop(i int) {
	l.events[i] = Event{Sequence: l.events[i].Sequence}
	l.holes++
}

// from returns the index of the first event with that sequence or a later one.
func (l *ring) from(sequence uint64) int {
	if n := len(l.events); n == 0 || l.events[n-1].Sequence < sequence {
		return n // who watches is mostly here
	}
	return sort.Search(len(l.events), func(i int) bool { return l.events[i].Sequence >= sequence })
}

// find returns the index of the event with that sequence.
func (l *ring) find(sequence uint64) (int, bool) {
	i := l.from(sequence)
	return i, i < len(l.events) && l.events[i].Sequence == sequence && l.events[i].Kind != ""
}

// next returns the first event after sequence.
func (l *ring) next(sequence uint64) (Event, bool) {
	for i := l.from(sequence + 1); i < len(l.events); i++ {
		if l.events[i].Kind != "" {
			return l.events[i], true
		}
	}
	return Event{}, false
}
