package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

//go:embed c/wake.c
var wakeSource []byte

// compile builds the peers in C.
func (b *bench) compile() (program string, err error) {
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		return "", skip("no C compiler, try: apt-get install gcc libc6-dev")
	}
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	source := filepath.Join(dir, "wake.c")
	if err := os.WriteFile(source, wakeSource, 0o600); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "wake")
	if out, err := exec.Command(compiler, "-O2", "-Wall", "-o", program, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile: %w: %s", err, out)
	}
	return program, nil
}

// A ringer is the C program that measures round trips.
type ringer struct {
	in  *os.File
	out *bufio.Reader
	p99 []float64
}

// ring starts it: it sends on out and waits on in, n times a sample, size bytes each.
func (b *bench) ring(program string, out, in *os.File, n, size int) (*ringer, error) {
	c := exec.Command(program, "ring", "3", "4", strconv.Itoa(n), strconv.Itoa(size))
	c.ExtraFiles = []*os.File{out, in}
	return b.asking(c)
}

// sideBySide compares two of them by their medians; the p99 of both are noted after the last round.
func (b *bench) sideBySide(o, p *ringer) (ours, peer sample, err error) {
	last := func() (float64, error) {
		v, err := p.sample()
		if len(p.p99) == b.rounds+1 {
			b.note("p99 %s against %s", shown(median(o.p99), ""), shown(median(p.p99), ""))
		}
		return v, err
	}
	return o.sample, last, nil
}

// asking starts a C program that measures once for each line on its standard input.
func (b *bench) asking(c *exec.Cmd) (*ringer, error) {
	c.Stderr = os.Stderr
	orders, stdin, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdin = orders
	stdout, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.startOn(askingCPU, c); err != nil {
		return nil, err
	}
	orders.Close()
	b.later(func() { stdin.Close(); c.Process.Kill(); c.Wait() })
	r := &ringer{in: stdin, out: bufio.NewReader(stdout)}
	_, err = r.out.ReadString('\n')
	return r, err
}

// sample is the median of one run.
func (r *ringer) sample() (float64, error) {
	if _, err := r.in.WriteString("go\n"); err != nil {
		return 0, err
	}
	var p50, p99 float64
	if _, err := fmt.Fscan(r.out, &p50, &p99); err != nil {
		return 0, err
	}
	r.p99 = append(r.p99, p99)
	return p50, nil
}
