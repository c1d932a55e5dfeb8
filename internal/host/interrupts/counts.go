package interrupts

import (
	"encoding/binary"
	"strings"
)

// The kernel writes a count right-aligned in ten characters, with a blank between two of them. So nearly
// every count is a blank, two more, eight that are blanks and then digits, and a blank; those eight are read
// at once, as one little-endian word. Everything else takes the loop.
const (
	each        = 0x0101010101010101
	blanks8     = ' ' * each
	blanks7zero = blanks8 + ('0'-' ')<<56
	blanks3     = ' '<<16 | ' '<<8 | ' '
)

// Of a large machine's counts nearly all are zero, and stand beside each other: they are compared many at a time.
const manyZeros = 32

var zeros = strings.Repeat("          0", manyZeros) + " "

// parseCounts reads up to len(dst) counts from line[p:], each after blanks and before a blank or the end.
// fits is false if one has more than 32 bits.
func parseCounts(line []byte, p int, dst []uint32) (n, next int, total uint64, fits bool) {
	fits = true
	for n < len(dst) {
		if f := line[p:]; len(f) >= 12 && f[11] == ' ' && uint32(f[2])<<16|uint32(f[1])<<8|uint32(f[0]) == blanks3 {
			word := binary.LittleEndian.Uint64(f[3:])
			if word == blanks7zero {
				many := zeroBlocks(line[p:], len(dst)-n)
				clear(dst[n : n+many])
				n, p = n+many, p+11*many
				continue
			}
			if rightAligned(word) {
				v := eightDigits(word)
				dst[n], total = uint32(v), total+v
				n, p = n+1, p+11
				continue
			}
		}
		v, q, ok := parseCount(line, p)
		if !ok {
			break
		}
		fits = fits && v <= 1<<32-1
		dst[n], total = uint32(v), total+v
		n, p = n+1, q
	}
	return n, p, total, fits
}

// zeroBlocks returns how many zeros there are at least, up to most, where there is one.
func zeroBlocks(f []byte, most int) int {
	n := 0
	for n+manyZeros <= most && len(f) >= len(zeros) && string(f[:len(zeros)]) == zeros {
		// f goes on with the blank that ends the last zero, which is the first of the next count.
		n, f = n+manyZeros, f[11*manyZeros:]
	}
	return max(n, 1)
}

// rightAligned reports whether the eight characters are blanks and then one digit or more.
func rightAligned(word uint64) bool {
	y := word ^ blanks8         // a blank is 0x00, a digit 0x10 to 0x19
	digits := y & (0x10 * each) // one bit for each digit
	low := y & (0x0f * each)
	return y&(0xe0*each) == 0 && // nothing else
		(low+6*each)&(0x10*each) == 0 && // no digit above 9
		low&^(digits-digits>>4) == 0 && // blanks are blank
		digits&^(digits>>8) == 0x10<<56 // the last is a digit, and after a digit come digits only
}

// eightDigits is the value of eight characters, blanks counting as zero: pairs, then fours, then all.
func eightDigits(word uint64) uint64 {
	word = word & (0x0f * each) * (10<<8 + 1) >> 8
	word = word & 0x00ff00ff00ff00ff * (100<<16 + 1) >> 16
	return word & 0x0000ffff0000ffff * (10000<<32 + 1) >> 32
}

// parseCount reads one count of up to 19 digits.
func parseCount(line []byte, p int) (v uint64, next int, ok bool) {
	for p < len(line) && line[p] == ' ' {
		p++
	}
	first := p
	for ; p < len(line) && line[p]-'0' <= 9; p++ {
		v = v*10 + uint64(line[p]-'0')
	}
	return v, p, p > first && p-first <= 19 && (p == len(line) || line[p] == ' ')
}
