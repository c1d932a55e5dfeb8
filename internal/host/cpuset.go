package host

import (
	"math/bits"
	"strconv"
	"strings"
)

// A CPUSet is a set of CPU numbers, as a bitmap. nil is "not known", an empty non-nil set has no CPU.
type CPUSet []uint64

const maxCPU = 1 << 16

// ParseCPUList reads the kernel's list format, "0-3,8,16-31:2/4" (lib/bitmap.c); "" is the empty set. It is false for anything else.
func ParseCPUList(s string) (CPUSet, bool) {
	set := CPUSet{}
	if s = strings.TrimSpace(s); s == "" {
		return set, true
	}
	for part := range strings.SplitSeq(s, ",") {
		part, group, grouped := strings.Cut(part, ":")
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		used, size := 1, 1
		if grouped {
			u, n, _ := strings.Cut(group, "/")
			var err3, err4 error
			used, err3 = strconv.Atoi(u)
			size, err4 = strconv.Atoi(n)
			if err3 != nil || err4 != nil || used < 1 || size < used {
				return nil, false
			}
		}
		if err != nil || err2 != nil || from < 0 || to < from || to >= maxCPU {
			return nil, false
		}
		for cpu := from; cpu <= to; cpu++ {
			if (cpu-from)%size < used {
				set.Add(cpu)
			}
		}
	}
	return set, true
}

// ParseCPUMask reads the kernel's mask format, "3" or "ff,00000001": 32 bits a group, the highest first.
func ParseCPUMask(s string) (CPUSet, bool) {
	groups := strings.Split(strings.TrimSpace(s), ",")
	set := CPUSet{}
	for i, group := range groups {
		word, err := strconv.ParseUint(group, 16, 32)
		if err != nil || len(groups) > maxCPU/32 {
			return nil, false
		}
		for base := 32 * (len(groups) - 1 - i); word != 0; word &= word - 1 {
			set.Add(base + bits.TrailingZeros64(word))
		}
	}
	return set, true
}

// NewCPUSet returns the set of these CPUs.
func NewCPUSet(cpus ...int) CPUSet {
	set := CPUSet{}
	for _, cpu := range cpus {
		set.Add(cpu)
	}
	return set
}

// Add puts a CPU into the set. Numbers below 0 and from 65,536 on are ignored.
func (s *CPUSet) Add(cpu int) {
	if cpu < 0 || cpu >= maxCPU {
		return
	}
	for cpu/64 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[cpu/64] |= 1 << (cpu % 64)
}

// Has reports whether the CPU is in the set.
func (s CPUSet) Has(cpu int) bool {
	return cpu >= 0 && cpu/64 < len(s) && s[cpu/64]>>(cpu%64)&1 != 0
}

// Known reports whether the set is known, even if it is empty.
func (s CPUSet) Known() bool { return s != nil }

// Len returns how many CPUs are in the set.
func (s CPUSet) Len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// All calls yield for each CPU, ascending; it is an iter.Seq[int].
func (s CPUSet) All(yield func(cpu int) bool) {
	for i, word := range s {
		for ; word != 0; word &= word - 1 {
			if !yield(64*i + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// And returns the CPUs that are in both sets.
func (s CPUSet) And(o CPUSet) CPUSet {
	both := make(CPUSet, min(len(s), len(o)))
	for i := range both {
		both[i] = s[i] & o[i]
	}
	return both
}

// Equal reports whether both sets are known, or both are not, and have the same CPUs.
func (s CPUSet) Equal(o CPUSet) bool {
	if s.Known() != o.Known() {
		return false
	}
	for i := range max(len(s), len(o)) {
		if s.word(i) != o.word(i) {
			return false
		}
	}
	return true
}

func (s CPUSet) word(i int) uint64 {
	if i < len(s) {
		return s[i]
	}
	return 0
}

// String returns the kernel's list format, "0-3,8"; "" for no CPU.
func (s CPUSet) String() string {
	var b strings.Builder
	for cpu := 0; cpu < 64*len(s); cpu++ {
		if !s.Has(cpu) {
			continue
		}
		last := cpu
		for s.Has(last + 1) {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpu))
		if last > cpu {
			b.WriteString("-" + strconv.Itoa(last))
		}
		cpu = last
	}
	return b.String()
}

// MarshalText returns String.
func (s CPUSet) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseCPUList.
func (s *CPUSet) UnmarshalText(text []byte) error {
	set, ok := ParseCPUList(string(text))
	if !ok {
		return strconv.ErrSyntax
	}
	*s = set
	return nil
}
