//go:build linux

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// onTerminal runs ivt with a terminal of its own, and returns what stands there.
func (b *workbench) onTerminal(args ...string) string {
	b.t.Helper()
	if _, err := exec.LookPath("script"); err != nil {
		if os.Getenv("CI") == "true" {
			b.t.Fatal("no script; try: apt-get install bsdutils")
		}
		b.t.Skip("no script; try: apt-get install bsdutils")
	}
	c := b.command()
	c.Path, c.Args = "/bin/sh", []string{"sh", "-c", `exec script -qec "$0 $*" /dev/null </dev/null`, program(b.t, "ivt")}
	c.Args = append(c.Args, args...)
	c.Env = append(c.Env, "TERM=xterm", "NO_COLOR=1", "SHELL=/bin/sh")
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// TestErrorsAreLaidOutOnATerminalAndOneLineInAPipe: what, who, why, and what to do.
func TestErrorsAreLaidOutOnATerminalAndOneLineInAPipe(t *testing.T) {
	b := newWorkbench(t)
	b.hold("--label", "holder", "soft:demo/1")
	none := b.dir + "/none"
	for _, row := range []struct {
		name string
		args []string
		rows []string // of a terminal
		line []string // in a pipe
	}{
		{"a refusal", []string{"connect", "soft:demo/1"},
			[]string{"763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED ", "  what  connect soft:demo/1", "  who   soft:demo/1 is held by pid ", "  do    ", "  more  ivt explain 763"},
			[]string{"ivt: connect soft:demo/1: 763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED", "is held by pid", "; try: "}},
		{"nobody there", []string{"--socket", none, "watch"},
			[]string{"no ivtd ", "  what  ivt watch", "  why   no ivtd at " + none, "  do    sudo systemctl start ivtd", "  or    ivtd", "  more  ivt"},
			[]string{"ivt: no ivtd at " + none, "start one with"}},
		{"a command line", []string{"list", "--hold"},
			[]string{"ivt: unknown flag: --hold", "usage: ivt list", "more: ivt list --help"}, []string{"ivt: unknown flag: --hold; usage: ivt list"}},
		{"a saved machine that is not there", []string{"--root", none, "list"},
			[]string{"87 ERROR_INVALID_PARAMETER ", "  what  open machine", "  why   ", "  do    give a directory"}, []string{"ivt: open machine", "; try: "}},
	} {
		lines := strings.Split(b.onTerminal(row.args...), "\n")
		for _, want := range row.rows {
			found := false
			for _, l := range lines {
				found = found || strings.HasPrefix(l, want)
			}
			if !found {
				t.Errorf("%s: no line on the terminal begins with %q:\n%s", row.name, want, strings.Join(lines, "\n"))
			}
		}
		out, errs, _ := b.ivt(row.args...)
		if strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%s: in a pipe it is not one line: %q%q", row.name, out, errs)
		}
		for _, want := range row.line {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: in a pipe there is no %q: %s", row.name, want, errs)
			}
		}
	}
}

// TestFirstContact: ivt alone says where things stand and what to try next, whatever there is of ivtd.
func TestFirstContact(t *testing.T) {
	b := newWorkbench(t)
	b.hold("soft:demo/1")
	says := func(name, text string, words ...string) {
		t.Helper()
		for _, w := range append(words, "kernel", "interrupts", "\ntry\n", "ivt list", "ivt doctor", "ivt explain 763", "ivt --help") {
			if !strings.Contains(text, w) {
				t.Errorf("%s: there is no %q:\n%s", name, w, text)
			}
		}
	}
	says("with ivtd", b.onTerminal(), "10 vectors, 1 held", "ivt connect soft:demo/3", "ivt watch")

	nowhere := &workbench{t, b.dir + "/elsewhere"}
	says("without", nowhere.onTerminal(), "not running here; what only looks works without it", "start the daemon")

	if os.Getuid() != 0 {
		t.Skip("who may not talk to ivtd is another user; try: as root")
	}
	if err := errors.Join(os.Chmod(b.dir, 0o755), os.Chmod(b.dir+"/s", 0o600)); err != nil {
		t.Fatal(err)
	}
	asNobody := func(args ...string) (out, errs string) {
		c := b.command(args...)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var said bytes.Buffer
		c.Stderr = &said
		text, err := c.Output()
		if err != nil {
			t.Errorf("without permission: %v, %s", err, said.String())
		}
		return string(text), said.String()
	}
	out, errs := asNobody()
	says("without permission", out, "is here, and does not let you in: the socket "+b.dir+"/s", "an ivtd of your own")
	if errs != "" {
		t.Errorf("without permission it complains: %s", errs)
	}
	if out, errs := asNobody("list"); !strings.Contains(out, "irq:") || !strings.Contains(out+errs, "the socket "+b.dir+"/s") {
		t.Errorf("the list without permission:\n%s%s", out, errs)
	}
}
