package irq

import "math/bits"

// A bitmap is a set of indexes that finds its next member in a few steps at any size: bit i of a level
// tells whether word i of the level below has any bit, so a million vectors are four levels.
type bitmap [][]uint64

// newBitmap returns a set that can hold 0 to n-1, all of them members if full.
func newBitmap(n int, full bool) bitmap {
	var b bitmap
	for {
		words := (n + 63) / 64
		level := make([]uint64, words)
		if full {
			for i := range level {
				level[i] = ^uint64(0)
			}
			if n%64 != 0 {
				level[words-1] = 1<<(n%64) - 1
			}
		}
		b = append(b, level)
		if words <= 1 {
			return b
		}
		n = words
	}
}

func (b bitmap) set(i int) {
	for _, level := range b {
		level[i/64] |= 1 << (i % 64)
		i /= 64
	}
}

func (b bitmap) clear(i int) {
	for _, level := range b {
		level[i/64] &^= 1 << (i % 64)
		if level[i/64] != 0 {
			return
		}
		i /= 64
	}
}

// next returns the first member from i on, or -1.
func (b bitmap) next(i int) int {
	for height := 0; height < len(b); height++ {
		level := b[height]
		if i/64 >= len(level) {
			return -1
		}
		if rest := level[i/64] >> (i % 64); rest != 0 {
			return b.descend(height, i+bits.TrailingZeros64(rest))
		}
		i = i/64 + 1
	}
	return -1
}

// descend returns the first member below bit i of the level at that height.
func (b bitmap) descend(height, i int) int {
	for height--; height >= 0; height-- {
		i = i*64 + bits.TrailingZeros64(b[height][i])
	}
	return i
}
