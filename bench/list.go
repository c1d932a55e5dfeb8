package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The rows of whole programs, from start to end, beside util-linux's lsirq. Go's own start is a row, too: nothing that is
// written in Go can be below it.
var listRows = []row{
	{"ivt list on this machine, to lsirq of util-linux", atMost(1), func(b *bench) (ours, peer sample, err error) {
		return b.programs("", "./cmd/ivt", "list")
	}},
	{"an empty Go program, to lsirq: the least there is in Go", goal{}, func(b *bench) (ours, peer sample, err error) {
		return b.programs("", "./bench/start/empty")
	}},
	{"a Go program that copies /proc/interrupts, to lsirq", goal{}, func(b *bench) (ours, peer sample, err error) {
		return b.programs("", "./bench/start/copy")
	}},
	{"a command of cobra that does nothing, to lsirq", goal{}, func(b *bench) (ours, peer sample, err error) {
		return b.programs("", "./bench/start/cobra")
	}},
	{"ivt list, 300 irqs on 96 CPUs, to lsirq", atMost(1), func(b *bench) (ours, peer sample, err error) {
		return b.table(96, 300)
	}},
	{"ivt list, 1,052 irqs on 1,152 CPUs, to lsirq", atMost(0.2), func(b *bench) (ours, peer sample, err error) {
		b.rounds = min(b.rounds, 5)
		return b.table(1152, 1052)
	}},
}

// table compares ivt list with lsirq on a machine of that size.
func (b *bench) table(cpus, irqs int) (ours, peer sample, err error) {
	dir, err := b.folder()
	if err != nil {
		return nil, nil, err
	}
	table := filepath.Join(dir, "interrupts")
	if err := os.WriteFile(table, largeTable(cpus, irqs), 0o600); err != nil {
		return nil, nil, err
	}
	return b.programs(table, "./cmd/ivt", "list")
}

// programs compares a program of ours with lsirq. A table is bound over /proc/interrupts, for both, and for nobody else.
func (b *bench) programs(table, source string, args ...string) (ours, peer sample, err error) {
	lsirq, err := exec.LookPath("lsirq")
	if err != nil {
		return nil, nil, skip("no lsirq, try: apt-get install util-linux-extra")
	}
	if table != "" && os.Geteuid() != 0 {
		return nil, nil, skip("a mount needs root, try: sudo make bench")
	}
	program, err := b.installed(source)
	if err != nil {
		return nil, nil, err
	}
	one, err := b.runner(table, append([]string{program}, args...))
	if err != nil {
		return nil, nil, err
	}
	two, err := b.runner(table, []string{lsirq})
	if err != nil {
		return nil, nil, err
	}
	b.notes = append(b.notes, "")
	return func() (float64, error) { return one.sample() }, func() (float64, error) {
		v, err := two.sample()
		b.notes[0] = fmt.Sprintf("best %.2f, CPU %.2f", slices.Min(one.wall)/slices.Min(two.wall), median(one.cpu)/median(two.cpu))
		return v, err
	}, nil
}

// installed builds a program as make does and copies it as make install does: what the linker has just written through a
// mapping lies in the page cache in small pieces, and starts a quarter slower than a copy.
func (b *bench) installed(source string) (string, error) {
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	built, program := filepath.Join(dir, "built"), filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", built, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", source, err, out)
	}
	text, err := os.ReadFile(built)
	if err != nil {
		return "", err
	}
	return program, os.WriteFile(program, text, 0o755)
}

// A timed program is run by a process of its own, which may have a mount that others do not see.
type timed struct {
	orders    *os.File
	answers   *bufio.Reader
	wall, cpu []float64
}

const runsASample = 10

func (b *bench) runner(table string, command []string) (*timed, error) {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), roleVariable+"=runner", "IVT_BENCH_TABLE="+table, "IVT_BENCH_COMMAND="+strings.Join(command, "\n"))
	if table != "" {
		c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	c.Stderr = os.Stderr
	orders, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer orders.Close()
	c.Stdin = orders
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	b.later(func() { stdin.Close(); c.Wait() })
	return &timed{orders: stdin, answers: bufio.NewReader(out)}, nil
}

// sample is the median of some runs, in nanoseconds.
func (t *timed) sample() (float64, error) {
	if _, err := t.orders.WriteString("go\n"); err != nil {
		return 0, err
	}
	var best, middle, cpu float64
	if _, err := fmt.Fscan(t.answers, &best, &middle, &cpu); err != nil {
		return 0, fmt.Errorf("the program that was to be measured failed: %w", err)
	}
	t.wall, t.cpu = append(t.wall, best), append(t.cpu, cpu)
	return middle, nil
}

// runPrograms is the runner: for each line it runs the command some times and answers with the best and the median time, and the
// median of the processor's.
func runPrograms() error {
	command := strings.Split(os.Getenv("IVT_BENCH_COMMAND"), "\n")
	if table := os.Getenv("IVT_BENCH_TABLE"); table != "" {
		for _, m := range []struct {
			source, target string
			flags          uintptr
		}{{"none", "/", syscall.MS_REC | syscall.MS_PRIVATE}, {table, "/proc/interrupts", syscall.MS_BIND}} {
			if err := syscall.Mount(m.source, m.target, "", m.flags, ""); err != nil {
				return fmt.Errorf("mount %s: %w", m.target, err)
			}
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var wall, cpu []float64
		for range runsASample {
			start := time.Now()
			p, err := os.StartProcess(command[0], command, &os.ProcAttr{Files: []*os.File{null, null, os.Stderr}})
			if err != nil {
				return err
			}
			state, err := p.Wait()
			wall = append(wall, float64(time.Since(start)))
			if err != nil {
				return err
			}
			if !state.Success() {
				return fmt.Errorf("%s: %v", command[0], state)
			}
			cpu = append(cpu, float64(state.UserTime()+state.SystemTime()))
		}
		fmt.Println(slices.Min(wall), median(wall), median(cpu))
	}
	return nil
}

// largeTable is a /proc/interrupts of message-signalled irqs, some of which fired on each CPU.
func largeTable(cpus, irqs int) []byte {
	var b bytes.Buffer
	b.WriteString("           ")
	for cpu := range cpus {
		fmt.Fprintf(&b, "%-11s", "CPU"+strconv.Itoa(cpu))
	}
	b.WriteByte('\n')
	for irq := range irqs {
		fmt.Fprintf(&b, "%5d: ", 24+irq)
		for cpu := range cpus {
			count := 0
			if (cpu+irq)%16 == 0 {
				count = 1000*irq + cpu
			}
			fmt.Fprintf(&b, "%10d ", count)
		}
		fmt.Fprintf(&b, " IR-PCI-MSIX-0000:%02x:00.0 %4d-edge      nvme%dq%d\n", irq/64, irq%64, irq/64, irq%64)
	}
	return b.Bytes()
}
