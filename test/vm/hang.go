package vm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/ivtd/ivt/test/vm/wire"
	"golang.org/x/sys/unix"
)

// silence is a VM of which nothing was heard for too long.
type silence struct{ limit time.Duration }

func (s silence) Error() string {
	return fmt.Sprintf("the VM did not answer for %v and was killed", s.limit)
}

// examination finds out why a VM is silent, before it is killed. It begins outside: is it the harness that does not read, QEMU
// that does not run, the guest's init that does not answer, or only a test? It ends with an NMI, at which the guest's kernel panics
// and says where all its processors and processes are, see commandLine.
type examination struct {
	pid     int // QEMU's
	harness *harness
	socket  *os.File // of a monitor of its own, which does not wait behind the tests'
	monitor *monitor
	deaf    bool // the monitor did not answer
	lines   []string
}

// How long to wait for what may never come.
const (
	monitorLimit = 5 * time.Second
	settled      = 3 * time.Second // nothing more comes
	guestLimit   = 15 * time.Second
	nmiLimit     = time.Minute
)

func (e *examination) run() []string {
	before := threadsOf(e.pid)
	e.say("harness", harnessStacks())
	e.say("control line", e.queues())
	e.ask("status", "query-status", nil)
	e.registers()
	e.guest()
	e.registers()
	e.say("QEMU's threads", describe(before, threadsOf(e.pid)))
	for cpu := range cpus {
		e.human(fmt.Sprintf("info lapic %d", cpu), everything)
	}
	if lost := lostInterrupts(e.lines); lost != "" {
		e.say("verdict", lost)
	}
	e.nmi()
	return e.lines
}

// say adds what was found out about something, unless that is nothing.
func (e *examination) say(about, text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			e.lines = append(e.lines, about+": "+line)
		}
	}
}

// harnessStacks are the goroutines that have to do with the guest: one that waits for anything but the guest holds the guest up.
func harnessStacks() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var ours []string
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(g, "vm.(*harness).") || strings.Contains(g, "vm.(*lineWriter).") {
			ours = append(ours, g)
		}
	}
	return strings.Join(ours, "\n")
}

// queues says what was written to the control line and not yet read at its other end.
func (e *examination) queues() (text string) {
	conn, err := e.harness.control.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) {
			in, inErr := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			out, outErr := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
			if err := errors.Join(inErr, outErr); err != nil {
				text = err.Error()
				return
			}
			text = fmt.Sprintf("%d bytes of the guest are not read, %d bytes for it are not taken by QEMU", in, out)
		})
	}
	if err != nil {
		return err.Error()
	}
	return text
}

// ask executes a QMP command and says what came of it; it returns what the command returns.
func (e *examination) ask(about, command string, arguments any) json.RawMessage {
	if e.deaf {
		return nil
	}
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if arguments == nil {
		text, err = json.Marshal(map[string]any{"execute": command})
	}
	if err != nil {
		e.say(about, err.Error())
		return nil
	}
	e.socket.SetDeadline(time.Now().Add(monitorLimit))
	var answer struct {
		Return json.RawMessage
		Error  *struct{ Desc string }
	}
	if err := json.Unmarshal(e.monitor.execute(text), &answer); err != nil {
		e.say(about, err.Error())
	} else if answer.Error != nil {
		e.deaf = true
		e.say(about, fmt.Sprintf("QEMU's monitor: %s: %s", command, answer.Error.Desc))
	} else if about != "" {
		e.say(about, string(answer.Return))
	}
	return answer.Return
}

var (
	everything = regexp.MustCompile(`\S`)
	// A processor's registers for integers, its instruction pointer, and whether it is halted.
	integers = regexp.MustCompile(`^(CPU#|R[A-Z0-9]+ ?=)`)
)

// human runs a command of the monitor for people and says the lines of its answer that match.
func (e *examination) human(command string, lines *regexp.Regexp) {
	var text string
	json.Unmarshal(e.ask("", "human-monitor-command", map[string]string{"command-line": command}), &text)
	for line := range strings.Lines(text) {
		if lines.MatchString(line) {
			e.say(command, line)
		}
	}
}

// Linux ends an interrupt before anything else it does with it, so a processor that is halted has none in service.
var (
	ofProcessor = regexp.MustCompile(`^info registers -a: CPU#(\d+)`)
	halted      = regexp.MustCompile(`^info registers -a: RIP=.*HLT=1`)
	inService   = regexp.MustCompile(`^info lapic (\d+): ISR\s+(\d.*)`)
)

// lostInterrupts says which processors wait for ever, in what examination has found out, since QEMU lost the end of an interrupt.
func lostInterrupts(lines []string) string {
	var waits []string
	cpu, halts := "", map[string]bool{}
	for _, line := range lines {
		if m := ofProcessor.FindStringSubmatch(line); m != nil {
			cpu = m[1]
		} else if strings.HasPrefix(line, "info registers -a: RIP=") {
			halts[cpu] = halted.MatchString(line)
		} else if m := inService.FindStringSubmatch(line); m != nil && halts[m[1]] {
			waits = append(waits, fmt.Sprintf("processor %s is halted with interrupt %s in service: QEMU lost its end, see threading in machine.go", m[1], strings.TrimSpace(m[2])))
		}
	}
	return strings.Join(waits, "\n")
}

func (e *examination) registers() { e.human("info registers -a", integers) }

// guest asks the guest's init to make the test say where it is, which needs no clock of the guest's. What comes is output of the
// test.
func (e *examination) guest() {
	before := e.harness.heard.Load()
	if before == 0 {
		e.say("guest", "it has never said anything")
		return
	}
	text, _ := json.Marshal(wire.Frame{Dump: true})
	e.harness.control.SetWriteDeadline(time.Now().Add(monitorLimit))
	if _, err := e.harness.control.Write(append(text, '\n')); err != nil {
		e.say("guest", err.Error())
		return
	}
	e.settle(e.harness.heard.Load, guestLimit)
	e.say("guest", fmt.Sprintf("asked for the test's goroutines, it sent %d frames", e.harness.heard.Load()-before))
}

func (e *examination) nmi() {
	if e.ask("", "inject-nmi", nil); e.deaf {
		return
	}
	log := e.harness.log
	log.record()
	e.settle(log.recorded, nmiLimit)
	lines := ofInterest(log.stopRecord())
	e.say("NMI", fmt.Sprintf("the kernel says %d lines, without those of its own sleeping threads", len(lines)))
	e.lines = append(e.lines, lines...)
}

// settle waits until a number stays the same for a while, or QEMU is gone.
func (e *examination) settle(number func() int64, limit time.Duration) {
	last, since := number(), time.Now()
	for end := since.Add(limit); time.Now().Before(end) && time.Since(since) < settled && running(e.pid); time.Sleep(50 * time.Millisecond) {
		if n := number(); n != last {
			last, since = n, time.Now()
		}
	}
}

// A kernel's list of tasks has each thread of its own, with its stack: those that sleep are left out.
var (
	aTask         = regexp.MustCompile(`\] task:`)
	sleepingOwn   = regexp.MustCompile(`\] task:.* state:[SI] .* p?pid:\s*2\s`)
	ofTask        = regexp.MustCompile(`\]  (\? )?\S|\] Call Trace:|\]  </?\w+>|\] (RIP|RSP|RAX|RDX|RBP|R10|R13|CS|Code|FS|CR2|Workqueue|Stopper): ?`)
	harnessPrefix = regexp.MustCompile(`^vm: `)
)

func ofInterest(lines []string) (kept []string) {
	skip := false
	for _, line := range lines {
		if aTask.MatchString(line) {
			skip = sleepingOwn.MatchString(line)
		} else if !ofTask.MatchString(line) || harnessPrefix.MatchString(line) {
			skip = false
		}
		if !skip {
			kept = append(kept, line)
		}
	}
	return kept
}

// unfinished are the tests in the output of go test -v that have begun and not ended, outermost first.
func unfinished(output []byte) (names []string) {
	ended := map[string]bool{}
	for line := range bytes.Lines(output) {
		words := strings.Fields(string(line))
		if len(words) < 3 {
			continue
		}
		switch words[0] + " " + words[1] {
		case "--- PASS:", "--- FAIL:", "--- SKIP:":
			ended[words[2]] = true
		case "=== RUN":
			names = append(names, words[2])
			ended[words[2]] = false // again, with -count
		}
	}
	left := names[:0]
	for _, n := range names {
		if done := ended[n]; !done {
			left = append(left, n)
			ended[n] = true
		}
	}
	return left
}
