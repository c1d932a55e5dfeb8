package interrupts

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
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

// BenchmarkAgainstProcfs reads one file alternately with this package and with prometheus/procfs, and prints how
// many times as long (medians) and how many times as many allocations procfs takes. The file is one that procfs survives: below
// its limit of 1 MiB, whole, with the ERR row left out.
func BenchmarkAgainstProcfs(b *testing.B) {
	mount := b.TempDir()
	file := mount + "/interrupts"
	if err := os.Mkdir(mount+"/1", 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(synthetic(128, 600)), 0o444); err != nil {
		b.Fatal(err)
	}
	root, err := procfs.NewFS(mount)
	if err != nil {
		b.Fatal(err)
	}
	peer, err := root.Proc(1)
	if err != nil {
		b.Fatal(err)
	}
	ours := func() {
		if t, err := readFile(file); err != nil || len(t.Rows) != 601 {
			b.Fatal(t, err)
		}
	}
	theirs := func() {
		if t, err := peer.Interrupts(); err != nil || len(t) != 601 {
			b.Fatal(len(t), err)
		}
	}
	var us, them []time.Duration
	for b.Loop() {
		start := time.Now()
		ours()
		middle := time.Now()
		theirs()
		us, them = append(us, middle.Sub(start)), append(them, time.Since(middle))
	}
	slices.Sort(us)
	slices.Sort(them)
	our, their := us[len(us)/2], them[len(them)/2]
	b.ReportMetric(float64(our), "ours-ns")
	b.ReportMetric(float64(their), "procfs-ns")
	b.ReportMetric(float64(their)/float64(our), "times-faster")
	b.ReportMetric(testing.AllocsPerRun(5, theirs)/testing.AllocsPerRun(5, ours), "times-fewer-allocs")
}

func readFile(name string) (*Table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f)
}
