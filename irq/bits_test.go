package irq

import (
	"testing"

	"pgregory.net/rapid"
)

func TestBitmapIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 2, 63, 64, 65, 4096, 4097, 300_000}).Draw(t, "n")
		full := rapid.Bool().Draw(t, "full")
		b, set := newBitmap(n, full), map[int]bool{}
		if full {
			for i := range n {
				set[i] = true
			}
		}
		for _, i := range rapid.SliceOf(rapid.IntRange(-n+1, n-1)).Draw(t, "changes") { // negative: taken out
			if i >= 0 {
				b.set(i)
				set[i] = true
			} else {
				b.clear(-i)
				delete(set, -i)
			}
		}
		from := rapid.IntRange(0, n).Draw(t, "from")
		for range 100 {
			want := -1
			for i := from; i < n; i++ {
				if set[i] {
					want = i
					break
				}
			}
			if got := b.next(from); got != want {
				t.Fatalf("next(%d) of %d is %d, not %d", from, n, got, want)
			}
			if want < 0 {
				break
			}
			from = want + 1
		}
	})
}

func TestRingKeepsTheLastAndFindsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ring{most: rapid.IntRange(1, 40).Draw(t, "most")}
		var want []uint64 // sequences that must be there
		for s := uint64(1); s < 200; s++ {
			l.add(Event{Sequence: s, Kind: EventChanged})
			if want = append(want, s); len(want) > l.most {
				want = want[1:]
			}
			if rapid.IntRange(0, 2).Draw(t, "drop") == 0 && len(want) > 1 {
				k := rapid.IntRange(0, len(want)-1).Draw(t, "which")
				i, ok := l.find(want[k])
				if !ok {
					t.Fatalf("%d is not found", want[k])
				}
				l.drop(i)
				want = append(want[:k:k], want[k+1:]...)
			}
			at, n := uint64(0), 0
			for e, ok := l.next(at); ok; e, ok = l.next(at) {
				if n >= len(want) || e.Sequence != want[n] {
					t.Fatalf("after %d comes %d, want %v", at, e.Sequence, want)
				}
				at, n = e.Sequence, n+1
			}
			if n != len(want) {
				t.Fatalf("%d of %d are there", n, len(want))
			}
			if len(l.events) > l.most+l.most/8+10 {
				t.Fatalf("%d entries for %d", len(l.events), l.most)
			}
		}
	})
}
