package interrupts

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// synthetic is a file as a large x86 machine writes it: each irq fires on one CPU, the timer on all.
func synthetic(cpus, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%12s", "")
	for cpu := range cpus {
		fmt.Fprintf(&b, "CPU%-8d", cpu)
	}
	b.WriteByte('\n')
	for irq := range rows {
		fmt.Fprintf(&b, "%4d: ", irq)
		for cpu := range cpus {
			count := 0
			if cpu == irq%cpus {
				count = 1000 + 37*irq
			}
			fmt.Fprintf(&b, "%10d ", count)
		}
		fmt.Fprintf(&b, " IR-PCI-MSIX-0000:%02x:00.0 %4d-edge      nvme%dq%d\n", irq/64%256, irq%64, irq/64, irq%64)
	}
	b.WriteString(" LOC: ")
	for cpu := range cpus {
		fmt.Fprintf(&b, "%10d ", 123456+cpu)
	}
	b.WriteString("  Local timer interrupts\n")
	return b.String()
}

func benchmarkFile(b *testing.B) []byte {
	if file, ok := captures(b)["pcp/interrupts-1152cpu-x86_64.bz2"]; ok {
		return file
	}
	return []byte(synthetic(1152, 1052))
}

func BenchmarkScan(b *testing.B) {
	file := benchmarkFile(b)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := NewScanner(bytes.NewReader(file))
		if err != nil {
			b.Fatal(err)
		}
		for s.Next() {
		}
	}
}

func BenchmarkRead(b *testing.B) {
	file := benchmarkFile(b)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadBusy has no zeros: each CPU has counted each irq.
func BenchmarkReadBusy(b *testing.B) {
	file := []byte(strings.ReplaceAll(synthetic(1152, 1052), "         0 ", "   1234567 "))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(bytes.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
}
