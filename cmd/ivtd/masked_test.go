package main

import "testing"

// TestRule9MaskedAcrossKills: what had come to a masked vector when its worker was killed is not counted again, and not slept through:
// nothing is delivered before the holder unmasks, then it is rung, with the count of what has come since; and from there on all is counted.
func TestRule9MaskedAcrossKills(t *testing.T) {
	const vector = "soft:demo/3"
	r := start(t, demo)
	d := r.driver()
	d.connect(vector)
	r.raise(vector, 1)
	before := d.interrupt()
	d.do(word{Do: "mask"})
	r.raise(vector, 5)
	for range 2 {
		r.killWorker()
		if i := r.info(vector); !i.Masked || i.Taken != 1 {
			t.Fatalf("after the kill: masked %t, taken %d", i.Masked, i.Taken)
		}
		r.raise(vector, 1)
	}
	d.do(word{Do: "unmask"})
	if i := d.do(word{Do: "wait"}); !i.Rang || i.Count != 1 || i.Sequence <= before.Sequence {
		t.Errorf("after unmasking: %+v after %+v, want a ring with what came since the last kill", i, before)
	}
	r.raise(vector, 3)
	if i := d.do(word{Do: "wait"}); i.Rang || i.Count != 3 {
		t.Errorf("the next interrupts: %+v", i)
	}
}
