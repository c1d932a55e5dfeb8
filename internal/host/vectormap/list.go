package vectormap

import (
	"fmt"
	"strconv"
	"strings"
)

// maxNumber bounds what a list may name, CPU or vector: NR_CPUS of x86 is at most 8192.
const maxNumber = 1 << 16

// numbers reads a list as the kernel prints it (%*pbl), "0-3,8"; "" is the empty list.
func numbers(text string) ([]int, error) {
	var all []int
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 32)
		to, err2 := strconv.ParseUint(last, 10, 32)
		if err1 != nil || err2 != nil || from > to || to >= maxNumber || len(all) > maxNumber {
			return nil, fmt.Errorf("%.40q is no list of numbers", text)
		}
		for n := from; n <= to; n++ {
			all = append(all, int(n))
		}
	}
	return all, nil
}

// list writes numbers, which ascend, as the kernel does: "0-3,8".
func list(all []int) string { return ranges("%d", all) }

// hexList writes vectors: "0x31,0x33-0x3f".
func hexList(all []int) string { return ranges("%#x", all) }

func ranges(format string, all []int) string {
	var parts []string
	for i := 0; i < len(all); i++ {
		part := fmt.Sprintf(format, all[i])
		first := i
		for i+1 < len(all) && all[i+1] == all[i]+1 {
			i++
		}
		if i > first {
			part += "-" + fmt.Sprintf(format, all[i])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}
