//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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

	out, errs, _ := newLockedOut(t, b).ivt()
	says("without permission", out, "is here, and does not let you in: the socket "+b.dir+"/s", "an ivtd of your own")
	if errs != "" {
		t.Errorf("without permission it complains: %s", errs)
	}
}

// A lockedOut is a user whom the socket of a workbench's ivtd does not let in.
type lockedOut struct{ *workbench }

func newLockedOut(t *testing.T, b *workbench) lockedOut {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("who may not talk to ivtd is another user; try: as root")
	}
	if err := errors.Join(os.Chmod(b.dir, 0o755), os.Chmod(b.dir+"/s", 0o600)); err != nil {
		t.Fatal(err)
	}
	return lockedOut{b}
}

func (l lockedOut) ivt(args ...string) (out, errs string, status int) {
	l.t.Helper()
	c := l.command(args...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// TestWhoIsLockedOutSeesTheKernelsSide: what can be known without ivtd is shown, what is missing is said, and with what would
// reveal it.
func TestWhoIsLockedOutSeesTheKernelsSide(t *testing.T) {
	b := newWorkbench(t)
	l := newLockedOut(t, b)
	number := anIRQ(t)
	const nothing = "pci:fffe:00:00.0/msix/0"
	for _, row := range []struct {
		name   string
		args   []string
		status int
		says   string // on standard output
		blind  bool   // and standard error says what is missing
	}{
		{"the list", []string{"list"}, 0, "irq:", true},
		{"the view, once", []string{"top", "--once"}, 0, "irq:", true},
		{"a list of what may be ivtd's", []string{"list", "soft:demo"}, 5, "", false},
		{"an interrupt of the kernel's", []string{"who", "irq:" + number}, 0, "held by  kernel driver", false},
		{"all about it", []string{"show", "irq:" + number}, 0, "handlers", true},
		{"what only ivtd knows", []string{"who", "soft:demo/1"}, 5, "", false},
		{"all about what only ivtd knows", []string{"show", "soft:demo/1"}, 5, "", false},
		{"a device that nobody sees", []string{"who", nothing}, 5, "", false},
	} {
		out, errs, status := l.ivt(row.args...)
		why := "the socket " + b.dir + "/s does not let this user in"
		if status != row.status || !strings.Contains(out, row.says) || (row.blind || status == 5) != strings.Contains(errs, why) {
			t.Errorf("%s: status %d, want %d with %q\n%s%s", row.name, status, row.status, row.says, out, errs)
		}
		if row.blind && !strings.Contains(errs, "not seen: vectors that ivtd hands out: "+why+"; ls -l ") {
			t.Errorf("%s: it does not say what is missing: %s", row.name, errs)
		}
	}
}

// TestWhoIsLockedOutIsToldOfAHolder: the kernel names its own, and where it names nobody that is no "nobody holds it".
func TestWhoIsLockedOutIsToldOfAHolder(t *testing.T) {
	b := newWorkbench(t)
	l := newLockedOut(t, b)
	held, free := aDevicesVectors(t)
	if out, errs, status := l.ivt("who", held); status != 0 || !strings.Contains(out, "held by  kernel driver") {
		t.Errorf("held: status %d\n%s%s", status, out, errs)
	}
	out, errs, status := l.ivt("who", free)
	if status != 5 || !strings.Contains(out, "the kernel names nobody") || strings.Contains(out, "nobody holds it") || !strings.Contains(errs, "not seen: vectors that ivtd hands out") {
		t.Errorf("free: status %d\n%s%s", status, out, errs)
	}
	if out, _, status := l.ivt("--json", "who", free); status != 5 || !strings.Contains(out, `{"what":"vectors that ivtd hands out","why":"the socket `) {
		t.Errorf("as JSON: status %d, %s", status, out)
	}
}

// TestARemedyIsACommandThatFits: what ivt says to try about a device of the kernel's does not answer that it cannot be meant.
func TestARemedyIsACommandThatFits(t *testing.T) {
	held, _ := aDevicesVectors(t)
	b := &workbench{t, t.TempDir()}
	out, _, _ := b.ivt("--json", "who", held)
	var answer struct{ Remedies []string }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Remedies) == 0 {
		t.Fatalf("%v: no remedy in %s", err, out)
	}
	command, _, _ := strings.Cut(answer.Remedies[0], "   ")
	words := strings.Fields(command)
	if words[0] != "ivt" {
		t.Fatalf("%q is no command of ivt", command)
	}
	if out, errs, _ := b.ivt(append(words[1:], "--dry-run")...); strings.Contains(errs, " 87 ") || strings.Contains(errs, "usage: ") {
		t.Errorf("%s: %s%s", command, out, errs)
	}
}

// aDevicesVectors are one vector that a driver of the kernel's has, and one of the same device that nobody has.
func aDevicesVectors(t *testing.T) (held, free string) {
	t.Helper()
	found, err := filepath.Glob("/sys/bus/pci/devices/*/msi_irqs")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range found {
		device := "pci:" + filepath.Base(filepath.Dir(dir))
		b := &workbench{t, t.TempDir()}
		if out, _, status := b.ivt("who", device+"/msix/0"); status == 0 && strings.Contains(out, "kernel driver") {
			return device + "/msix/0", device + "/msix/2047"
		}
	}
	t.Skip("no device of this machine has MSI-X; try: in a virtual machine")
	return "", ""
}
