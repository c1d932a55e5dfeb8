package vectormap

import (
	"math/bits"
)

// A bitmap of the kernel has one bit a vector, in 64-bit words.

func hasBit(bitmap []uint64, i int) bool {
	return i/64 < len(bitmap) && bitmap[i/64]>>(i%64)&1 == 1
}

func setBit(bitmap []uint64, i int) { bitmap[i/64] |= 1 << (i % 64) }

func weight(bitmap []uint64) int {
	n := 0
	for _, w := range bitmap {
		n += bits.OnesCount64(w)
	}
	return n
}

// within reports whether every bit of a is in b.
func within(a, b []uint64) bool {
	for i, w := range a {
		if w&^b[i] != 0 {
			return false
		}
	}
	return true
}

// members lists the bits that are set.
func members(bitmap []uint64) []int {
	var set []int
	for i := range 64 * len(bitmap) {
		if hasBit(bitmap, i) {
			set = append(set, i)
		}
	}
	return set
}
