package interrupts

import (
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// slowRead is an independent reader: fields, no state machine, one allocation after the other.
func slowRead(t *testing.T, file string) (cpus []int, rows []Row) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	for _, name := range strings.Fields(lines[0]) {
		cpu, err := strconv.Atoi(strings.TrimPrefix(name, "CPU"))
		if err != nil {
			t.Fatal(err)
		}
		cpus = append(cpus, cpu)
	}
	for i, line := range lines[1:] {
		if strings.TrimSpace(line) == "" {
			continue
		}
		label, rest, _ := strings.Cut(line, ":")
		row := Row{Label: strings.TrimSpace(label), Number: -1, Line: i + 2}
		if n, err := strconv.Atoi(row.Label); err == nil {
			row.Number = n
		}
		fields := strings.Fields(rest)
		for len(fields) > 0 && len(row.Counts) < len(cpus) {
			v, err := strconv.ParseUint(fields[0], 10, 64)
			if err != nil {
				break
			}
			row.Counts, row.Total, fields = append(row.Counts, uint32(v)), row.Total+v, fields[1:]
		}
		if row.Text = strings.Join(fields, " "); len(row.Counts) < len(cpus) {
			row.Single, row.Counts = true, nil
		}
		rows = append(rows, row)
	}
	return cpus, rows
}

// captures returns the files kept beside the tree, by name; none where there are none.
func captures(t testing.TB) map[string][]byte {
	files := map[string][]byte{}
	for _, pattern := range []string{"*/interrupts*", "*/softirqs*"} {
		names, _ := filepath.Glob("../../../../shared/captures/" + pattern)
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err == nil && strings.HasSuffix(name, ".bz2") {
				b, err = io.ReadAll(bzip2.NewReader(bytes.NewReader(b)))
			}
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(filepath.Dir(name))+"/"+filepath.Base(name)] = b
		}
	}
	return files
}

func samples(t testing.TB) map[string][]byte {
	files := map[string][]byte{}
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no samples in testdata", err)
	}
	for _, name := range names {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func agrees(t *testing.T, file []byte) {
	t.Helper()
	got, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Problems) > 0 {
		t.Errorf("problems in a whole file: %v", got.Problems)
	}
	cpus, rows := slowRead(t, string(file))
	for i := range got.Rows {
		got.Rows[i].Text = strings.Join(strings.Fields(got.Rows[i].Text), " ")
	}
	if reflect.DeepEqual(cpus, got.CPUs) && reflect.DeepEqual(rows, got.Rows) {
		return // a million counts; cmp takes seconds
	}
	t.Error(cmp.Diff(cpus, got.CPUs), cmp.Diff(rows, got.Rows))
}

func TestSamplesAgreeWithSlowReader(t *testing.T) {
	for name, file := range samples(t) {
		t.Run(name, func(t *testing.T) { agrees(t, file) })
	}
}

func TestCapturesAgreeWithSlowReader(t *testing.T) {
	files := captures(t)
	if len(files) == 0 {
		t.Skip("no captures beside the tree; try: put copies of /proc/interrupts under ../shared/captures/NAME/")
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) { agrees(t, file) })
	}
}

// oneByte gives its bytes one a call, as a terminal or a socket might.
type oneByte struct{ b []byte }

func (r *oneByte) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	p[0], r.b = r.b[0], r.b[1:]
	return 1, nil
}

func TestReaderAndBytesAgree(t *testing.T) {
	for name, file := range samples(t) {
		want, err := Parse(file)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := Read(&oneByte{file})
		if err != nil {
			t.Fatal(name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(name, d)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		line   string
		number int
		label  string
	}{
		{" 36:          1          2  IO-APIC 1-edge x", 36, "36"},
		{"IPI0:2768808080 2844211768       Rescheduling interrupts", -1, "IPI0"}, // arm64, prec < 4
		{"1234567:          1          2  GICv3", 1234567, "1234567"},
		{"I/O:          1          2  ", -1, "I/O"}, // s390
	} {
		table, err := Parse([]byte("           CPU0       CPU1       \n" + c.line + "\n"))
		if err != nil || len(table.Rows) != 1 {
			t.Fatalf("%q: %v %v", c.line, table, err)
		}
		row := table.Rows[0]
		if row.Label != c.label || row.Number != c.number || len(row.Counts) != 2 {
			t.Errorf("%q: %+v", c.line, row)
		}
	}
}

func TestBrokenLines(t *testing.T) {
	const header = "           CPU0       CPU1       CPU4\n"
	for _, c := range []struct {
		name, file string
		rows       int
		problem    string // of the last row, "" for none
		total      uint64
	}{
		{"whole row", " 1:  1  2  3  IO-APIC\n", 1, "", 6},
		{"a CPU went during the read", " 1:  1  2  IO-APIC  1-edge x\n", 1, "2 counts for 3 CPUs", 3},
		{"a CPU came during the read", " 1:  1  2  3  4  IO-APIC  1-edge x\n", 1, "more than 3 counts for 3 CPUs", 6},
		{"row without counts", " 1:\n", 1, "0 counts for 3 CPUs", 0},
		{"cut within the counts", "LOC:          1          2         3", 1, "the file ends within the counts", 6},
		{"cut after one count", "LOC:          1", 1, "the file ends within the counts", 1},
		{"cut within the text", "LOC:          1          2          3   Local ti", 1, "", 6},
		{"one count for the machine", "ERR:          7\n", 1, "", 7},
		{"more than 32 bits", "LOC: 1 4294967296 3 x\n", 1, "a count does not fit in 32 bits", 4294967300},
		{"a count of 30 digits", "LOC: 1 123456789012345678901234567890 3 x\n", 1, "1 counts for 3 CPUs", 1},
		{"counts grown together", " 1: 42949672954294967295          1  x\n", 1, "0 counts for 3 CPUs", 0},
		{"NUL bytes", " 1: 1 2 3  \x00\x00\n\x00\x00\x00\n", 1, "no label with counts", 6},
		{"junk", "$ cat /proc/interrupts\nDate: today\n", 0, "no label with counts", 0},
		{"line ends of Windows", " 1: 1 2 3  x\r\nERR: 4\r\n", 2, "", 4},
		{"empty lines", "\n 1: 1 2 3  x\n\n", 1, "", 6},
		{"second table", " 1: 1 2 3  x\n" + header + " 1: 2 3 4  x\n", 1, "a second header: the file has several tables, the first is used", 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := Parse([]byte(header + c.file))
			if err != nil {
				t.Fatal(err)
			}
			problem := ""
			if n := len(table.Problems); n > 0 {
				problem = table.Problems[n-1].Reason
			}
			if len(table.Rows) != c.rows || problem != c.problem {
				t.Fatalf("%d rows, problem %q; want %d, %q: %+v", len(table.Rows), problem, c.rows, c.problem, table.Rows)
			}
			if c.rows == 0 {
				return
			}
			row := table.Rows[c.rows-1]
			if row.Total != c.total {
				t.Errorf("total %d, want %d", row.Total, c.total)
			}
			if row.Misaligned && row.Counts != nil {
				t.Error("counts of a row that nobody can say whose they are")
			}
		})
	}
}

func TestNoTable(t *testing.T) {
	for _, file := range []string{"", "\n\n", "hello\n", "CPU0 CPUx\n", " 1: 2\n", "\x00\x01", strings.Repeat("x", 2*MaxLine)} {
		if _, err := Parse([]byte(file)); err != ErrNoHeader {
			t.Errorf("%.20q: %v", file, err)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat("x", 2*MaxLine))); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a line without end: %v", err)
	}
	if _, err := Read(io.MultiReader(strings.NewReader("CPU0\n 1: 2 x\n"), errReader{})); err != io.ErrUnexpectedEOF {
		t.Errorf("the reader's error: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestJunkBeforeHeader(t *testing.T) {
	table, err := Parse([]byte("$ cat /proc/interrupts\n\n   CPU3  CPU7\n  1: 5 6  x\n"))
	if err != nil || len(table.Rows) != 1 || !cmp.Equal(table.CPUs, []int{3, 7}) || table.Rows[0].Line != 4 {
		t.Errorf("%+v %v", table, err)
	}
}

func TestNoAllocationPerRow(t *testing.T) {
	allocs := func(rows int) float64 {
		file := []byte(synthetic(64, rows))
		return testing.AllocsPerRun(5, func() {
			s, err := NewBytesScanner(file)
			if err != nil {
				t.Fatal(err)
			}
			for s.Next() {
			}
		})
	}
	if few, many := allocs(10), allocs(2000); few != many {
		t.Errorf("%v allocations for 10 rows, %v for 2000", few, many)
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range samples(f) {
		f.Add(file)
	}
	f.Add([]byte("CPU0 CPU1\n1: 1\n1:1 1 1\n:\n\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		table, err := Parse(file)
		streamed, errStreamed := Read(bytes.NewReader(file))
		if (err == nil) != (errStreamed == nil) && !strings.Contains(errStreamed.Error(), "longer") {
			t.Fatalf("%v, but streamed %v", err, errStreamed)
		}
		if err != nil || errStreamed != nil {
			return
		}
		if d := cmp.Diff(table, streamed); d != "" {
			t.Fatal(d)
		}
		for _, row := range table.Rows {
			if row.Counts != nil && len(row.Counts) != len(table.CPUs) {
				t.Fatalf("%d counts for %d CPUs", len(row.Counts), len(table.CPUs))
			}
			fields := ParseText(row.Text)
			SplitActions(nil, fields.Actions, row.Label)
			DecodeMSI(fields.Chip, fields.HWIRQ)
		}
	})
}

// TestZerosBesideEachOther has one count that is not zero, at each place of rows of many lengths.
func TestZerosBesideEachOther(t *testing.T) {
	for _, cpus := range []int{1, manyZeros - 1, manyZeros, manyZeros + 1, 2 * manyZeros, 3*manyZeros + 5} {
		var b strings.Builder
		b.WriteString("    ")
		for cpu := range cpus {
			fmt.Fprintf(&b, "       CPU%-d", cpu)
		}
		for at := range cpus + 1 {
			fmt.Fprintf(&b, "\n%3d:", at)
			for cpu := range cpus {
				fmt.Fprintf(&b, " %10d", map[bool]int{true: 1234567890, false: 0}[cpu == at])
			}
			b.WriteString([]string{"  PCI-MSI 1-edge", ""}[at%2])
		}
		agrees(t, []byte(b.String()+"\n"))
	}
}
