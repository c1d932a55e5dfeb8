package interrupts

import "bytes"

// parseHeader reads "CPU0 CPU2 …": the numbers of the CPUs, which have gaps where one is offline.
func parseHeader(line []byte) ([]int, bool) {
	if !bytes.Contains(line[:min(len(line), 64)], []byte("CPU")) {
		return nil, false
	}
	cpus := make([]int, 0, len(line)/11+1)
	for {
		line = bytes.TrimLeft(line, " \t\r")
		if len(line) == 0 {
			return cpus, len(cpus) > 0 && len(cpus) <= MaxCPUs
		}
		end := bytes.IndexAny(line, " \t\r")
		if end < 0 {
			end = len(line)
		}
		name, isCPU := bytes.CutPrefix(line[:end], []byte("CPU"))
		number := labelNumber(name)
		if !isCPU || len(name) == 0 || number < 0 {
			return nil, false
		}
		cpus = append(cpus, number)
		line = line[end:]
	}
}
