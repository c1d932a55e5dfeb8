package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A workbench is a real ivtd and the real ivt.
type workbench struct {
	t   *testing.T
	dir string
}

func newWorkbench(t *testing.T) *workbench {
	t.Helper()
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &workbench{t, dir}
	policy := "[soft.demo]\nvectors = 8\nshareable = true\n[soft.alone]\nvectors = 2\n"
	if err := os.WriteFile(dir+"/ivtd.toml", []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	d := exec.Command(program(t, "ivtd"), "--socket", dir+"/s", "--config", dir+"/ivtd.toml")
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Process.Signal(os.Interrupt); d.Wait() })
	b.until(func() bool { _, _, status := b.ivt("show", "soft:demo/0"); return status == 0 })
	return b
}

func (b *workbench) until(done func() bool) {
	b.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-end:
			b.t.Fatal("waited 20 s")
		}
	}
}

func (b *workbench) command(args ...string) *exec.Cmd {
	c := exec.Command(program(b.t, "ivt"), args...)
	c.Env = append(os.Environ(), "IVT_SOCKET="+b.dir+"/s")
	return c
}

func (b *workbench) ivt(args ...string) (out, errs string, status int) {
	b.t.Helper()
	c := b.command(args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// hold has another process hold vectors until the test ends.
func (b *workbench) hold(args ...string) *exec.Cmd {
	b.t.Helper()
	c := b.command(append([]string{"connect"}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	buffer := make([]byte, 256)
	if n, err := out.Read(buffer); err != nil || !strings.Contains(string(buffer[:n]), "connected") {
		b.t.Fatalf("%q, %v", buffer[:n], err)
	}
	return c
}

func TestExitStatuses(t *testing.T) {
	b := newWorkbench(t)
	holder := b.hold("--label", "holder", "soft:demo/1", "soft:alone/0")
	claims := b.dir + "/claims.toml"
	if err := os.WriteFile(claims, []byte("[[claim]]\nvectors=[\"soft:demo/4\"]\n[[claim]]\nname=\"again\"\nvectors=[\"soft:demo/4\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := b.dir + "/bad.toml"
	if err := os.WriteFile(bad, []byte("[[claim]]\nvektors=[]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"nobody holds it", []string{"who", "soft:demo/2"}, 1, "nobody"},
		{"somebody holds it", []string{"who", "soft:demo/1"}, 0, "holder"},
		{"an unknown command", []string{"conect"}, 2, "connect"},
		{"an unknown flag", []string{"list", "--hold"}, 2, "--hold"},
		{"an argument is missing", []string{"who"}, 2, "usage: ivt who"},
		{"a malformed name", []string{"connect", "soft:demo/x"}, 2, "87"},
		{"beyond the last", []string{"connect", "soft:demo/8"}, 2, "87"},
		{"taken", []string{"connect", "soft:demo/1"}, 3, "763"},
		{"taken, with a status of its own", []string{"connect", "--conflict-exit-code", "42", "soft:demo/1", "--", "true"}, 42, "763"},
		{"own failures before CMD", []string{"connect", "soft:none/1", "--", "true"}, 125, "433"},
		{"CMD that is not there takes nothing", []string{"connect", "soft:demo/2", "--", "no-such-command"}, 125, "not found"},
		{"CMD's own status", []string{"connect", "soft:demo/2", "--", "sh", "-c", "exit 7"}, 7, ""},
		{"the kernel's", []string{"connect", "irq:" + anIRQ(t)}, 3, "kernel"},
		{"no such source", []string{"raise", "soft:none/1"}, 4, "433"},
		{"sharing what cannot be", []string{"connect", "--share", "soft:alone/1"}, 2, "50"},
		{"not enough", []string{"connect", "--any", "2", "soft:alone"}, 6, "1450"},
		{"the wait expired", []string{"connect", "--wait", "--timeout", "50ms", "soft:demo/1"}, 124, "1460"},
		{"a dry run of what is taken", []string{"connect", "--dry-run", "soft:demo/1"}, 3, "763"},
		{"a dry run of what is free", []string{"connect", "--dry-run", "soft:demo/2"}, 0, "nothing was changed"},
		{"a type of named vectors", []string{"connect", "--type", "msix", "soft:demo/2"}, 2, "--any"},
		{"consent to share nothing", []string{"connect", "--consent", "soft:demo/2"}, 2, "--access device"},
		{"raised no times", []string{"raise", "soft:demo/2", "-n", "0"}, 2, "from 1"},
		{"masked by connection", []string{"mask", "c1"}, 2, "87"},
		{"what excludes each other", []string{"list", "--held", "--free"}, 2, "usage: ivt list"},
		{"watched by vector", []string{"watch", "soft:demo/2"}, 2, "87"},
		{"no daemon", []string{"--socket", b.dir + "/none", "watch"}, 7, "start one"},
		{"a saved machine has no ivtd", []string{"--root", b.dir, "raise", "soft:demo/1"}, 2, "--root"},
		{"claims that contradict each other", []string{"check", claims}, 3, "again"},
		{"an unknown key", []string{"check", bad}, 2, "vektors"},
		{"masked by the administrator", []string{"mask", "soft:demo/1"}, 0, ""},
		{"and unmasked", []string{"unmask", "soft:demo/1"}, 0, ""},
		{"nobody to mask", []string{"mask", "soft:demo/2"}, 4, "1167"},
		{"revoked", []string{"revoke", "soft:demo/1"}, 0, ""},
		{"it is in history", []string{"history", "soft:demo/1"}, 0, "revoked"},
		{"an unknown code", []string{"explain", "ERROR_INTERUPT"}, 2, ""},
	} {
		out, errs, status := b.ivt(row.args...)
		if status != row.status || !strings.Contains(out+errs, row.says) {
			t.Errorf("%s: ivt %s: status %d, want %d with %q\n%s%s", row.name, strings.Join(row.args, " "), status, row.status, row.says, out, errs)
		}
	}
	if err := holder.Wait(); err == nil || holder.ProcessState.ExitCode() != 4 {
		t.Errorf("the revoked holder ended with %v, want status 4 for 1167", err)
	}
}

func TestErrorsAreOneDocumentWithJSON(t *testing.T) {
	b := newWorkbench(t)
	first := b.hold("soft:demo/1")
	out, errs, status := b.ivt("--json", "connect", "soft:demo/1")
	var d struct {
		Error struct {
			Code      int
			Name      string
			Operation string
			Conflicts []struct {
				Vector  string
				Holders []struct{ PID int }
				Reason  string
			}
			Remedies []string
		}
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || status != 3 || errs != "" {
		t.Fatalf("%v, status %d, standard error %q, output %s", err, status, errs, out)
	}
	e := d.Error
	if e.Code != 763 || e.Name != "ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED" || e.Operation != "connect" || len(e.Conflicts) != 1 ||
		e.Conflicts[0].Vector != "soft:demo/1" || e.Conflicts[0].Reason != "held" || e.Conflicts[0].Holders[0].PID != first.Process.Pid || len(e.Remedies) == 0 {
		t.Errorf("%+v", e)
	}
}

// TestJSONIsOneDocumentInTheInterfacesWords: no name of a Go field shows through.
func TestJSONIsOneDocumentInTheInterfacesWords(t *testing.T) {
	b := newWorkbench(t)
	b.hold("--label", "holder", "soft:demo/1")
	b.ivt("connect", "soft:demo/1") // a refusal, for the history
	field := regexp.MustCompile(`"[A-Z]\w*":`)
	for _, row := range []struct{ args, has string }{
		{"", `"ivtd":{"instance":"`}, {"list", `"holders":[{"kind":"process"`}, {"who soft:demo/1", `"label":"holder"`},
		{"show soft:demo/1", `"ivtd":{"name":"soft:demo/1"`}, {"history soft:demo/1", `"kind":"refused"`},
	} {
		out, errs, status := b.ivt(append([]string{"--json"}, strings.Fields(row.args)...)...)
		if status != 0 || errs != "" || !json.Valid([]byte(out)) || !strings.Contains(out, row.has) {
			t.Errorf("ivt --json %s: status %d, no %s in it:\n%s%s", row.args, status, row.has, out, errs)
		}
		if bad := field.FindString(out); bad != "" {
			t.Errorf("ivt --json %s: %s in %s", row.args, bad, out)
		}
	}
}

// TestWhatCouldNotBePrintedIsNotDone: on a full disk no command that looks ends with 0.
func TestWhatCouldNotBePrintedIsNotDone(t *testing.T) {
	b := newWorkbench(t)
	b.hold("soft:demo/1")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { full.Close() })
	for _, args := range []string{"", "list", "who soft:demo/1", "show soft:demo/1", "history", "explain 763", "version", "--help", "top --once", "--json who soft:demo/1"} {
		c := b.command(strings.Fields(args)...)
		var errs bytes.Buffer
		c.Stdout, c.Stderr = full, &errs
		c.Run()
		if status := c.ProcessState.ExitCode(); status != 1 || !strings.Contains(errs.String(), "no space left") && !strings.HasPrefix(args, "--json") {
			t.Errorf("ivt %s: status %d, %s", args, status, errs.String())
		}
	}
}

func TestCtrlCDisconnects(t *testing.T) {
	b := newWorkbench(t)
	holder := b.hold("soft:demo/1")
	holder.Process.Signal(syscall.SIGINT)
	if err := holder.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	if out, _, status := b.ivt("who", "soft:demo/1"); status != 1 {
		t.Errorf("it is still held: %s", out)
	}
}

// anIRQ is the number of an interrupt that the kernel of this machine holds.
func anIRQ(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/interrupts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if number, ok := strings.CutSuffix(words[0], ":"); ok && strings.Trim(number, "0123456789") == "" && len(words) > 4 {
			return number
		}
	}
	t.Skip("the kernel of this machine holds no interrupt by number")
	return ""
}
