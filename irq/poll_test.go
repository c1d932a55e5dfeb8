package irq

import "testing"

func TestPollDoesNotWait(t *testing.T) {
	r := New(Config{EventRing: 8})
	w := r.Watch(0)
	defer w.Close()
	if e, lost, ok := w.Poll(); ok {
		t.Fatalf("nothing happened, and Poll says %v, %d lost", e, lost)
	}
	for range 10 { // four of them fit
		r.log.add(Event{Kind: EventChanged, Source: "soft:demo"})
	}
	e, lost, ok := w.Poll()
	if !ok || e.Sequence != 7 || lost != 6 {
		t.Errorf("Poll says %t, event %d, %d lost; want event 7 after 6", ok, e.Sequence, lost)
	}
	if e, lost, err := w.Next(t.Context()); err != nil || e.Sequence != 8 || lost != 0 {
		t.Errorf("Next goes on with event %d, %d lost, %v", e.Sequence, lost, err)
	}
}
