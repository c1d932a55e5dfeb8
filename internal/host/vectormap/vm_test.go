package vectormap_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:run ^TestVM

// live is the machine that the test runs on.
type live struct{}

func (live) FS() fs.FS  { return os.DirFS("/") }
func (live) Live() bool { return true }

// readers are used again by each test: under emulation the symbols alone take a second.
var readers = map[vectormap.Method]*vectormap.Reader{}

func reader(method vectormap.Method) *vectormap.Reader {
	if readers[method] == nil {
		readers[method] = vectormap.NewReader(live{}, vectormap.Options{Methods: []vectormap.Method{method}})
	}
	return readers[method]
}

func read(t *testing.T, method vectormap.Method) *vectormap.Map {
	t.Helper()
	m, err := reader(method).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// exact are the methods that this kernel has: Debian's have no debugfs, the own one has nothing else.
func exact() []vectormap.Method {
	if _, err := os.Stat("/proc/kcore"); err == nil {
		return []vectormap.Method{vectormap.MethodKcore, vectormap.MethodBPF}
	}
	return []vectormap.Method{vectormap.MethodDebugfs}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0); err != nil {
		t.Fatal(err)
	}
}

// content is what all methods must agree on.
func content(m *vectormap.Map) vectormap.Map {
	return vectormap.Map{Global: m.Global, CPUs: m.CPUs, IRQs: m.IRQs}
}

// Every way to the kernel's memory gives the same map, and each interrupt is where /proc/irq says.
func TestVMMethodsAgree(t *testing.T) {
	guest.Require(t)
	var first vectormap.Map
	for i, method := range exact() {
		m := read(t, method)
		t.Logf("%s: %d passes, %d free, %d in use, %d irqs", method, m.Passes, m.Global.Available, m.Global.Allocated, len(m.IRQs))
		if i == 0 {
			first = content(m)
			checkAffinities(t, m)
		} else if diff := cmp.Diff(first, content(m)); diff != "" {
			t.Errorf("%s and %s differ:\n%s", exact()[0], method, diff)
		}
	}
}

// checkAffinities compares with effective affinities. An irq that was never started has one and no vector.
func checkAffinities(t *testing.T, m *vectormap.Map) {
	t.Helper()
	checked := 0
	for _, q := range m.IRQs {
		text, err := os.ReadFile("/proc/irq/" + strconv.Itoa(q.Number) + "/effective_affinity_list")
		if err != nil || q.CPU == vectormap.Unknown || q.Actions == "" {
			continue
		}
		checked++
		if got := strings.TrimSpace(string(text)); got != strconv.Itoa(q.CPU) {
			t.Errorf("irq %d (%s): the map says CPU %d, /proc/irq says %s", q.Number, q.Actions, q.CPU, got)
		}
	}
	if checked < 5 {
		t.Errorf("only %d irqs to compare", checked)
	}
}

// With addresses hidden the map says so; its caller may allow to look for them in memory.
func TestVMHiddenSymbols(t *testing.T) {
	guest.Require(t)
	if exact()[0] != vectormap.MethodKcore {
		t.Skip("this kernel has no /proc/kcore; 6.1 has")
	}
	kcore := []vectormap.Method{vectormap.MethodKcore}
	want := content(read(t, vectormap.MethodKcore))
	const knob = "/proc/sys/kernel/kptr_restrict"
	before, err := os.ReadFile(knob)
	if err != nil {
		t.Fatal(err)
	}
	write(t, knob, "2")
	t.Cleanup(func() { write(t, knob, string(before)) })
	_, err = vectormap.Read(t.Context(), live{}, vectormap.Options{Methods: kcore})
	if err == nil || !strings.Contains(err.Error(), "kptr_restrict") {
		t.Errorf("hidden: %v", err)
	}
	got, err := vectormap.Read(t.Context(), live{}, vectormap.Options{Methods: kcore, HiddenSymbols: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, content(got)); diff != "" {
		t.Errorf("with symbols from memory the map differs:\n%s", diff)
	}
}

// settable are the interrupts whose affinity may be written.
func settable(t *testing.T) []string {
	t.Helper()
	all, _ := filepath.Glob("/proc/irq/*/smp_affinity_list")
	var may []string
	for _, path := range all {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if os.WriteFile(path, before, 0) == nil {
			may = append(may, path)
		}
	}
	if len(may) == 0 {
		t.Fatal("no interrupt may be moved")
	}
	return may
}

// traffic keeps the interrupts of two network cards coming until the test ends: a move is over only when the next
// interrupt arrives.
func traffic(t *testing.T) {
	t.Helper()
	guest.Load(t, "e1000e")
	for i, name := range []string{"eth0", "eth1"} {
		guest.Eventually(t, name+" is there", func() bool { _, err := os.Stat("/sys/class/net/" + name); return err == nil })
		ip(t, "addr", "add", fmt.Sprintf("10.9.%d.1/24", i), "dev", name)
		ip(t, "link", "set", name, "up")
		t.Cleanup(func() { ip(t, "link", "set", name, "down"); ip(t, "addr", "flush", "dev", name) })
	}
	conn, err := net.Dial("udp", "10.9.0.255:9") // to everybody: nobody has to answer
	if err != nil {
		t.Fatal(err)
	}
	var sender sync.WaitGroup
	sender.Go(func() {
		for {
			if _, err := conn.Write(make([]byte, 64)); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	})
	t.Cleanup(func() { conn.Close(); sender.Wait() })
}

func ip(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v\n%s", words, err, out)
	}
}

// While interrupts move from CPU to CPU, every map is one that the kernel had: consistent, or reported as unstable.
func TestVMStaysConsistentWhileAffinitiesMove(t *testing.T) {
	guest.Require(t)
	traffic(t)
	paths := settable(t)
	ctx, stop := context.WithCancel(t.Context())
	writes := 0
	var mover sync.WaitGroup
	mover.Go(func() {
		for cpu := 0; ctx.Err() == nil; cpu = 1 - cpu {
			for _, path := range paths {
				if os.WriteFile(path, []byte(strconv.Itoa(cpu)), 0) == nil {
					writes++
				}
			}
		}
	})
	t.Cleanup(func() {
		stop()
		mover.Wait()
		for _, path := range paths {
			_ = os.WriteFile(path, []byte("0-1"), 0)
		}
	})
	stable, unstable, passes, moves := 0, 0, 0, 0
	for _, method := range exact() {
		r := reader(method)
		last := &vectormap.Map{}
		for range 40 {
			m, err := r.Read(t.Context())
			switch {
			case err == nil:
				stable++
				passes += m.Passes
				checkMap(t, m)
				moves += moved(last, m)
				last = m
			case strings.Contains(err.Error(), "unstable"):
				unstable++
			default:
				t.Fatal(err)
			}
		}
	}
	stop()
	mover.Wait()
	t.Logf("%d affinities written; %d stable maps in %d sweeps, which saw %d moves; %d unstable", writes, stable, passes, moves, unstable)
	if stable < 20 || moves < 10 {
		t.Error("too little to show anything")
	}
}

// moved counts the irqs that have another place.
func moved(before, after *vectormap.Map) int {
	n := 0
	for _, q := range after.IRQs {
		if b := before.IRQ(q.Number); b != nil && (b.CPU != q.CPU || b.Vector != q.Vector) {
			n++
		}
	}
	return n
}

// checkMap repeats from the outside what must hold of a map.
func checkMap(t *testing.T, m *vectormap.Map) {
	t.Helper()
	live := map[int]int{}
	for _, c := range m.CPUs {
		used := 0
		for _, s := range c.Slots {
			switch s.State {
			case vectormap.StateLive:
				live[s.IRQ]++
				used++
			case vectormap.StateCleanup:
				used++
			}
		}
		if c.Online && used != c.Allocated {
			t.Errorf("CPU %d: %d vectors in use, %d listed", c.Number, c.Allocated, used)
		}
	}
	for _, q := range m.IRQs {
		if q.CPU != vectormap.Unknown && live[q.Number] != 1 {
			t.Errorf("irq %d is live %d times", q.Number, live[q.Number])
		}
	}
}

// A CPU that is taken offline keeps its line and leaves the totals.
func TestVMOfflineCPU(t *testing.T) {
	guest.Require(t)
	const knob = "/sys/devices/system/cpu/cpu1/online"
	if err := os.WriteFile(knob, []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { write(t, knob, "1") })
	for _, method := range exact() {
		m := read(t, method)
		if m.Global.Online != 1 || m.CPU(1) != nil && m.CPU(1).Online {
			t.Errorf("%s: %d CPUs online, CPU 1 is %+v", method, m.Global.Online, m.CPU(1))
		}
		checkMap(t, m)
	}
}

// Without rights the map is inferred, and says why it is no more.
func TestVMUnprivileged(t *testing.T) {
	guest.Require(t)
	if os.Getuid() == 0 {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVMUnprivileged$", "-test.v")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		c.Dir = "/"
		out, err := c.CombinedOutput()
		t.Logf("as nobody:\n%s", out)
		if err != nil {
			t.Error(err)
		}
		return
	}
	m, err := vectormap.Read(t.Context(), live{}, vectormap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Method != vectormap.MethodInference || len(m.Blind) < 4 {
		t.Errorf("got %s, blind %v", m.Method, m.Blind)
	}
	for _, b := range m.Blind {
		t.Log(b)
	}
}
