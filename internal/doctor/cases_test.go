package doctor

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/host/hosttest"
)

var update = flag.Bool("update", false, "write docs/cases.md anew")

// A question is one that people really ask, and the one command that answers it.
type question struct {
	ask     string
	tree    string // the saved machine: a file of testdata/cases, or a text
	log     string // a file of testdata/cases
	command string // as people type it, without --root and --log of the test
	note    string
	want    []string // what the answer must say
}

var questions = []question{
	{ask: "Which process makes /dev/vfio/12 busy?", tree: "vfio.tree", command: "ivt who /dev/vfio/12",
		note: "The kernel says only `open /dev/vfio/12: Device or resource busy`.", want: []string{"2231", "qemu-system-x86", "/dev/vfio/12"}},
	{ask: "My GPIO line answers EBUSY. Who has it?", tree: "gpio.tree", command: "ivt who gpiochip0/17",
		note: "The kernel knows the label that the holder chose for itself (`door`), and no process.", want: []string{"412", "doord"}},
	{ask: "My GPIO line answers EBUSY, and gpioinfo says that nobody has it.", tree: "gpio.tree",
		command: "ivt explain 'pinctrl-bcm2835 fe200000.gpio: pin gpio22 already requested by fe204000.spi; cannot claim for fe200000.gpio:22'",
		note:    "The line is in the kernel log (`dmesg`). Not the line is held but the pin: another function has it, here an SPI controller. `ivt who gpiochip0/22` says on the live machine that pin control has it.",
		want:    []string{"fe204000.spi", "nobody holds the line, somebody holds the pin"}},
	{ask: "genirq: Flags mismatch irq 16. Whose fault is it?", command: "ivt explain 'genirq: Flags mismatch irq 16. 00002000 (mei_me) vs. 00000080 (i801_smbus)'",
		note: "The first word is what the newcomer asked for, the second what the holder has.", want: []string{"mei_me, the newcomer", "FAILS"}},
	{ask: "irq 16: nobody cared. Who is the culprit?", tree: "nobody.tree", log: "nobody.log", command: "ivt doctor --log kern.log",
		note: "The log names the drivers that did not want the interrupt. Who raised it stands nowhere: a device on the same wire without a driver.", want: []string{"likely culprit is 0000:05:00.0"}},
	{ask: "Writing smp_affinity fails with ENOSPC on a machine with 288 CPUs.", tree: crowded(), command: "ivt doctor",
		note: "No disk is full. Here from a saved machine, so the CPUs' vectors are inferred; on the live machine root sees the kernel's own counters (`ivt list --map`).", want: []string{"CPUs 0-3: probably no vector is left there", "ENOSPC"}},
	{ask: "Too few MSI-X vectors for SR-IOV.", command: "ivt explain 'ice 0000:3b:00.0: Only 0 MSI-X interrupts available for SR-IOV. Not enough to support minimum of 2 MSI-X interrupts per VF for 8 VFs'",
		want: []string{"16 must be freed", "ethtool -L"}},
	{ask: "Interrupts fire on CPUs that I isolated.", tree: "isolated.tree", command: "ivt doctor",
		note: "Two kinds: those that can be moved, and managed ones, which only the kernel places.", want: []string{"placed by the kernel", "managed_irq,domain,2-3", "ivt affinity pci:0000:3b:00.0/msix/0 0-1"}},
	{ask: "\"No irq handler for vector\" on every terminal at boot.", command: "ivt explain '[    0.006140] __common_interrupt: 1.55 No irq handler for vector'",
		want: []string{"harmless: nothing to do"}},
	{ask: "A CPU cannot be taken offline.", command: "ivt explain 'CPU 102 has 104 vectors, 99 available. Cannot disable CPU'",
		want: []string{"5 vectors too few", "Nothing was changed"}},
}

// crowded is a machine of 288 CPUs whose network cards put their interrupts on the first four, as irqbalance left one.
func crowded() string {
	var rows, files strings.Builder
	rows.WriteString("== proc/interrupts\n     ")
	for cpu := range 288 {
		fmt.Fprintf(&rows, " %10s", fmt.Sprintf("CPU%d", cpu))
	}
	rows.WriteString("\n")
	irqs := make([]string, 4)
	for i := range 800 {
		card, queue, number := i%4, i/4, 100+i
		fmt.Fprintf(&rows, "%4d:", number)
		for cpu := range 288 {
			count := 0
			if cpu == card {
				count = 1000 + i
			}
			fmt.Fprintf(&rows, " %10d", count)
		}
		fmt.Fprintf(&rows, "  IR-PCI-MSIX-0000:%d0:00.0 %4d-edge      ens%d-TxRx-%d\n", card+1, queue, card, queue)
		fmt.Fprintf(&files, "== proc/irq/%d/smp_affinity_list (644)\n%d\n== proc/irq/%[1]d/effective_affinity_list\n%[2]d\n", number, card)
		irqs[card] += fmt.Sprintf(" %d:msix", number)
	}
	for card, list := range irqs {
		fmt.Fprintf(&files, "== sys/bus/pci/devices/0000:%d0:00.0 class=0x020000 driver=ice irq=0 numa_node=-1 msi_irqs=%s\n== sys/class/net/ens%d -> ../../devices/pci0000:%[1]d0/0000:%[1]d0:00.0/net/ens%[3]d\n", card+1, strings.TrimSpace(list), card)
	}
	return rows.String() + files.String() + "== proc/sys/kernel/osrelease\n6.1.0-50-amd64\n== proc/sys/kernel/arch\nx86_64\n== proc/stat\nbtime 1795420200\n== sys/devices/system/cpu/online\n0-287\n"
}

// Each question is answered by its one command, and docs/cases.md shows the real answers.
func TestCases(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the commands look at Linux machines")
	}
	ivt := build(t)
	var page strings.Builder
	page.WriteString(casesHead)
	for i, q := range questions {
		answer := q.answer(t, ivt)
		for _, want := range q.want {
			if !strings.Contains(strings.Join(strings.Fields(answer), " "), want) {
				t.Errorf("%s: the answer does not say %q:\n%s", q.command, want, answer)
			}
		}
		fmt.Fprintf(&page, "\n## %d. %s\n\n", i+1, q.ask)
		if q.note != "" {
			page.WriteString(q.note + "\n\n")
		}
		fmt.Fprintf(&page, "```\n$ %s\n%s\n```\n", q.command, strings.TrimRight(answer, "\n"))
	}
	compare(t, filepath.Join("..", "..", "docs", "cases.md"), page.String())
}

const casesHead = `<!-- Generated by go test ./internal/doctor -run Cases -update -->

# Ten questions, one command each

No daemon and no root is needed for any of these; root sees more. The answers are those of saved machines and logs (` + "`ivt save`, `--root FILE`, `--log FILE`" + `), and a test compares them with what the commands print.
`

func compare(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != text {
		t.Errorf("%s is not what the commands print; try: go test ./internal/doctor -run Cases -update", filepath.Base(path))
	}
}

// build makes the command as it is now.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "ivt")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/ivtd/ivt/cmd/ivt").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// The files of a question, under the names that the page shows.
const (
	machineFile = "machine.tar"
	logFile     = "kern.log"
)

func (q question) answer(t *testing.T, ivt string) string {
	t.Helper()
	dir := q.files(t)
	command, asked, _ := strings.Cut(strings.TrimPrefix(q.command, "ivt "), " ")
	if command == "explain" {
		return run(t, dir, ivt, "explain", strings.Trim(asked, "'"))
	}
	return run(t, dir, ivt, append([]string{"--root", machineFile, command}, strings.Fields(asked)...)...)
}

// files writes the saved machine and the log of the question into a directory of their own.
func (q question) files(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := q.tree
	if text != "" && !strings.Contains(text, "\n") {
		text = string(sample(t, q.tree))
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(machineFile, hosttest.Tar(text))
	if q.log != "" {
		write(logFile, sample(t, q.log))
	}
	return dir
}

func sample(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "cases", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// exitFindings is the status of ivt doctor where a finding is serious.
const exitFindings = 8

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "TZ=UTC", "COLUMNS=80", "IVT_SOCKET=/nonexistent")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil && c.ProcessState.ExitCode() != exitFindings {
		t.Fatalf("%q: %v\n%s%s", args, err, out, errs.Bytes())
	}
	return string(out)
}
