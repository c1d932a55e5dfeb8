package host

// A CPUSet is a set of CPU numbers, as a bitmap. nil is "not known", an empty non-nil set has no CPU.
type CPUSet []uint64

// Has reports whether the CPU is in the set.
func (s CPUSet) Has(cpu int) bool {
	return cpu >= 0 && cpu/64 < len(s) && s[cpu/64]>>(cpu%64)&1 != 0
}
