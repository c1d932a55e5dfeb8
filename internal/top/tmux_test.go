package top

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A terminal is a real one: tmux draws what the program writes, and says what is to be seen.
type terminal struct {
	t      *testing.T
	socket string
}

// missing skips a test that needs a program; where everything must be there it fails.
func missing(t *testing.T, what, cure string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("no %s; try: %s", what, cure)
	}
	t.Skipf("no %s; try: %s", what, cure)
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "tmux", append([]string{"-S", x.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %s: %v: %s", args, err, out)
	}
	return string(out)
}

// open starts a shell in a terminal of a size.
func open(t *testing.T, width, height int, env ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		missing(t, "tmux", "apt-get install tmux")
	}
	x := &terminal{t, filepath.Join(t.TempDir(), "tmux")}
	shell := append([]string{"env", "-u", "NO_COLOR", "LC_ALL=C.UTF-8", "PS1=ready$ ", "TERM=tmux-256color"}, append(env, "sh", "-i")...)
	x.tmux(append([]string{"-u", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}, shell...)...)
	t.Cleanup(func() { x.tmux("kill-server") })
	x.until("the shell", "ready$")
	return x
}

func (x *terminal) screen() string { x.t.Helper(); return x.tmux("capture-pane", "-p") }
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	x.tmux(append([]string{"send-keys"}, keys...)...)
}
func (x *terminal) types(text string) { x.t.Helper(); x.tmux("send-keys", "-l", text) }

// coloured is the screen with its escapes.
func (x *terminal) coloured() string { x.t.Helper(); return x.tmux("capture-pane", "-p", "-e", "-N") }

// until waits for a screen that has all the words (those that begin with ! it must not have).
func (x *terminal) until(what string, words ...string) string {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		screen, all := x.screen(), true
		for _, w := range words {
			w, not := strings.CutPrefix(w, "!")
			all = all && strings.Contains(screen, w) != not
		}
		if all {
			return screen
		}
		if time.Now().After(end) {
			x.t.Fatalf("%s: %q are not on the screen:\n%s", what, words, screen)
		}
		pause(x.t)
	}
}

// pause is the time between two looks.
func pause(t *testing.T) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-t.Context().Done():
	}
}

// build makes the programs once; TestMain takes them away.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ivt-top")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "../../cmd/ivt", "../../cmd/ivtd").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return dir, err
})

var built bool

// programs returns ivt and ivtd.
func programs(t *testing.T) (ivt, ivtd string) {
	t.Helper()
	built = true
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir + "/ivt", dir + "/ivtd"
}

func removePrograms() {
	if !built {
		return
	}
	if dir, err := build(); dir != "" && err == nil {
		os.RemoveAll(dir)
	}
}

// process runs a program until the test ends, or stop is called.
func process(t *testing.T, name string, args ...string) (stop func()) {
	t.Helper()
	c := exec.Command(name, args...)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { c.Wait(); close(done) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		c.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(time.Minute):
			c.Process.Kill()
			<-done
			t.Errorf("%s did not end: %s", name, said.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

func daemon(t *testing.T, ivtd, socket string) (stop func()) {
	t.Helper()
	stop = process(t, ivtd, "--user", "--socket", socket)
	for end := time.Now().Add(time.Minute); ; pause(t) {
		if _, err := os.Stat(socket); err == nil {
			return stop
		}
		if time.Now().After(end) {
			t.Fatal("ivtd does not serve")
		}
	}
}

func TestInATerminal(t *testing.T) {
	x := open(t, 110, 24)
	ivt, ivtd := programs(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	t.Setenv("XDG_STATE_HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	stop := daemon(t, ivtd, socket)

	x.types("stty -a >" + dir + "/before; " + ivt + " top --interval 200ms --socket " + socket)
	x.keys("Enter")
	x.until("the first picture", "VECTOR", "soft:demo/", "ivtd: 0 connections")

	x.keys("/")
	x.types("demo held")
	x.until("filter as you type", "/demo held", "0 of ", "no vector fits")
	hangUp := process(t, ivt, "connect", "soft:demo/3", "--socket", socket, "--label", "left pump")
	x.until("the connect", "soft:demo/3 ", "connected", "left pump", "1 of ")
	x.keys("Enter", "Enter")
	x.until("the detail", "whoever else asks gets 763", "held by", "history, the latest first", "connected ivt[")
	x.keys("Escape")
	x.until("the list again", "filter demo held", "!held by")
	hangUp()
	x.until("the disconnect", "no vector fits")
	x.keys("Escape")
	x.until("everything", "Space freeze")

	x.keys("f")
	x.until("folded by device", "fold: device", "▸ soft:demo (64)")
	x.keys("f", "f", "f")
	x.until("folded by CPU and back", "fold: none", "!▸")
	x.keys("Space")
	x.until("frozen", " frozen ")
	x.keys("Space", "?")
	x.until("help", "reverse the order", "any key: back", "! frozen ")
	x.keys("x")

	x.tmux("resize-window", "-x", "20", "-y", "5")
	x.until("20 × 5", "VECTOR", "? help", "!CPUs")
	x.tmux("resize-window", "-x", "110", "-y", "24")
	x.until("large again", "CPUs", "Space freeze")

	stop()
	x.until("a lost ivtd", "ivtd gone since", "trying again")
	daemon(t, ivtd, socket)
	x.until("it is back", "ivtd: 0 connections", "!gone since")

	x.keys("q")
	x.left(dir)
	for _, end := range []string{"C-c", "q"} {
		x.types("clear; " + ivt + " top --socket " + socket)
		x.keys("Enter")
		x.until("another run", "VECTOR")
		x.keys(end)
		x.left(dir)
	}
}

// left checks that the terminal is as it was: its main screen, its settings, its cursor; and that the status was 0.
func (x *terminal) left(dir string) {
	x.t.Helper()
	x.until("the shell again", "ready$", "!VECTOR")
	x.types("echo status=$?; stty -a >" + dir + "/after; cmp " + dir + "/before " + dir + "/after && echo s''ame")
	x.keys("Enter")
	screen := x.until("the same settings", "status=0", "same")
	if state := x.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"); strings.TrimSpace(state) != "0 1 0" {
		x.t.Errorf("alternate screen, cursor, mouse: %s\n%s", state, screen)
	}
}

// The signals that end programs leave the terminal as it was, too.
func TestATerminatedTopLeavesTheTerminal(t *testing.T) {
	x := open(t, 80, 12)
	ivt, _ := programs(t)
	dir := t.TempDir()
	x.types("stty -a >" + dir + "/before; " + ivt + " top --interval 200ms & echo $! >" + dir + "/pid; fg >/dev/null")
	x.keys("Enter")
	x.until("the first picture", "VECTOR")
	pid, err := os.ReadFile(dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("kill", strings.TrimSpace(string(pid))).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	x.until("the shell again", "ready$", "!VECTOR")
	x.types("stty -a >" + dir + "/after; cmp " + dir + "/before " + dir + "/after && echo s''ame")
	x.keys("Enter")
	x.until("the same settings", "same")
}

// screenshot is where the README has a picture of the view from.
const screenshot = "../../docs/images/top.svg"

// The screenshot is of a real machine with a real ivtd and two drivers; go test -update writes it.
func TestScreenshot(t *testing.T) {
	if !*update {
		t.Skip("it is written on request; try: go test ./internal/top -run Screenshot -update")
	}
	x := open(t, 120, 18)
	ivt, ivtd := programs(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	for _, name := range []string{"XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, dir)
	}
	daemon(t, ivtd, socket)
	process(t, ivt, "connect", "soft:demo/3", "--socket", socket, "--label", "left pump")
	process(t, ivt, "connect", "soft:demo/4", "--socket", socket, "--label", "right pump")
	x.types(ivt + " top --interval 500ms --socket " + socket)
	x.keys("Enter")
	x.until("both drivers", "ivtd: 2 connections")
	x.types("/held")
	x.keys("Enter", "S", "S", "S") // by irq: what has none first
	x.until("both pumps", "left pump", "right pump", "IRQ↑")
	total := 0
	for turn := range 8 {
		n := 10 + 15*(turn%4)
		total += n
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, ivt, "raise", "soft:demo/3", "-n", fmt.Sprint(n), "--socket", socket).CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		x.until("a picture later", fmt.Sprintf(" %d ", total))
	}
	x.until("a trend", "left pump", "█")
	text := svg(x.coloured(), 120)
	if err := os.MkdirAll(filepath.Dir(screenshot), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(screenshot, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
