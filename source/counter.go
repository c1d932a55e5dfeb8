//go:build linux

package source

import "sync/atomic"

// counterOf returns the number that a Keep has for key, or one that ends with this process.
func counterOf(keep Keep, key string) *atomic.Uint64 {
	if c, ok := keep.(Counting); ok {
		if n := c.Counter(key); n != nil {
			return n
		}
	}
	return new(atomic.Uint64)
}

// released returns when no descriptor is in the Keep any more that was dropped.
func released(keep Keep) {
	if r, ok := keep.(Releasing); ok {
		r.Released()
	}
}

// tallyOf returns another number of key.
func tallyOf(keep Keep, key string, n int) *atomic.Uint64 {
	if t, ok := keep.(Tallying); ok {
		if a := t.Tally(key, n); a != nil {
			return a
		}
	}
	return new(atomic.Uint64)
}
