package interrupts

import "strings"

// SplitActions appends the names of an irq's handlers to dst. proc is Fields.Actions, joined by ", ". sysfs is
// /sys/kernel/irq/N/actions, joined by ","; "" if it is not known. A name may have commas: where both are
// known, a comma followed by a blank in both belongs to a name, so the names are told apart exactly. The
// strings are parts of proc.
func SplitActions(dst []string, proc, sysfs string) []string {
	if proc == "" {
		return dst
	}
	if names, ok := alignActions(dst, proc, sysfs); ok {
		return names
	}
	for {
		name, rest, more := strings.Cut(proc, ", ")
		dst = append(dst, name)
		if !more {
			return dst
		}
		proc = rest
	}
}

func alignActions(dst []string, proc, sysfs string) ([]string, bool) {
	start, names := 0, dst
	for i, j := 0, 0; ; i, j = i+1, j+1 {
		switch {
		case i == len(proc) && j == len(sysfs):
			return append(names, proc[start:]), true
		case i >= len(proc) || j >= len(sysfs) || proc[i] != sysfs[j]:
			return dst, false
		case proc[i] == ',' && strings.HasPrefix(proc[i:], ", ") && !strings.HasPrefix(sysfs[j:], ", "):
			names = append(names, proc[start:i])
			i++
			start = i + 1
		}
	}
}
