package vectormap

import (
	"fmt"
	"strconv"
	"strings"
)

// maxCPU bounds what a CPU list may name: NR_CPUS of x86 is at most 8192.
const maxCPU = 1 << 16

// parseList reads a list as the kernel prints it (%*pbl): "0-3,8"; "" is the empty list.
func parseList(text string) ([]int, error) {
	var list []int
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 32)
		b, errB := strconv.ParseUint(last, 10, 32)
		if errA != nil || errB != nil || a > b || b >= maxCPU {
			return nil, fmt.Errorf("%.40q is no list of numbers", part)
		}
		for n := a; n <= b; n++ {
			list = append(list, int(n))
		}
		if len(list) > maxCPU {
			return nil, fmt.Errorf("a list of more than %d numbers", maxCPU)
		}
	}
	return list, nil
}

// list writes numbers, which ascend, as the kernel does.
func list(numbers []int) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(numbers[i]))
		if j > i {
			b.WriteString("-" + strconv.Itoa(numbers[j]))
		}
		i = j + 1
	}
	return b.String()
}
