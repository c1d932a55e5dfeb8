package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Printer prints results as `go test` does, with the kernel beside the package.
type Printer struct {
	Out     io.Writer
	Verbose bool // output of passed tests too
	JSON    bool // a line of JSON an event, as `go test -json`
	// Streamed says that Out has had the output of tests already.
	Streamed bool
}

// Print prints one result.
func (p *Printer) Print(ctx context.Context, r Result) error {
	text := p.text(r)
	if !p.JSON {
		_, err := p.Out.Write(text)
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "test2json", "-p", fmt.Sprintf("%s[%s]", r.Package, r.Kernel))
	cmd.Stdin, cmd.Stdout = bytes.NewReader(text), p.Out
	return cmd.Run()
}

func (p *Printer) text(r Result) []byte {
	var b bytes.Buffer
	if show := p.Verbose || p.JSON || !r.OK; show && (!p.Streamed || r.Cached) {
		output := r.Output
		if !p.Verbose && !p.JSON {
			output = terse(output)
		}
		b.Write(output)
		if n := len(output); n > 0 && output[n-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	if !r.OK && !bytes.Contains(r.Output, []byte("\nFAIL\n")) {
		// Something that is not a test failed: still a line that readers of
		// go test look for.
		fmt.Fprintf(&b, "--- FAIL: VM linux %s\n", r.Release)
	}
	for _, line := range r.Trouble {
		fmt.Fprintf(&b, "    vm: %s\n", printable(line))
	}
	word, took := "ok  ", fmt.Sprintf("%.3fs", r.Seconds)
	if r.Cached {
		took = "(cached)"
	}
	if !r.OK {
		word = "FAIL"
	}
	fmt.Fprintf(&b, "%s\t%s [linux %s]\t%s\n", word, r.Package, r.Release, took)
	return b.Bytes()
}

// terse is the output of go test -v without the lines that only say that a test runs or passes.
func terse(output []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(output) {
		words := bytes.TrimLeft(line, " ")
		if !bytes.HasPrefix(line, []byte("=== ")) && !bytes.HasPrefix(words, []byte("--- PASS: ")) && !bytes.HasPrefix(words, []byte("--- SKIP: ")) {
			b.Write(line)
		}
	}
	return b.Bytes()
}

// printable shows control characters of the guest harmlessly.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' || c == 0x7f {
			return '·'
		}
		return c
	}, s)
}
