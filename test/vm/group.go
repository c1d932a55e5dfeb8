package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ivtd/ivt/test/vm/kernels"
	"github.com/ivtd/ivt/test/vm/wire"
)

// A VM is killed if nothing is heard of it for quiet while it boots, or if that
// takes longer than bootLimit; then if a test takes longer than its own limit
// and Options.grace, since it ends itself at that one, or init ends it: a third
// of grace after its limit it has to say where it is, after two it is killed.
const (
	quiet        = 90 * time.Second
	bootLimit    = 10 * time.Minute
	defaultGrace = 30 * time.Second
)

// maxLosses is how many VMs may be lost in one group before what is left is
// not tried any more.
const maxLosses = 3

// group is several packages in one boot.
type group struct {
	suite   *suite
	kernel  *kernels.Kernel
	units   []*unit
	log     kernelLog
	current int // the unit that runs or is next
	start   time.Time
	output  bytes.Buffer // of the current one
	heard   time.Time    // when output came
	allow   func(time.Duration)
	silent  func() bool // nothing was heard for too long: what comes now is part of the examination
	up      atomic.Bool // its init has come up
}

// bootGroup boots a kernel for packages, again if the VM is lost in one of
// them: that one has failed, those behind it have not run.
func (s *suite) bootGroup(ctx context.Context, k *kernels.Kernel, units []*unit) error {
	for losses := 0; len(units) > 0; {
		left, lost, err := s.bootOnce(ctx, k, units, losses < maxLosses-1)
		if err != nil {
			return err
		}
		if lost {
			losses++
		}
		units = left
	}
	return nil
}

// bootOnce returns the packages that are to be run in another boot.
func (s *suite) bootOnce(ctx context.Context, k *kernels.Kernel, units []*unit, again bool) (left []*unit, lost bool, err error) {
	dir, err := os.MkdirTemp(s.tmp, "vm-")
	if err != nil {
		return nil, false, err
	}
	defer os.RemoveAll(dir)
	m := s.machine(k, units[0], dir)
	if err := s.initramfs(m, units); err != nil {
		return nil, false, err
	}
	g := &group{suite: s, kernel: k, units: units, start: time.Now()}
	limited, allow, cancel := patience(ctx)
	defer cancel()
	g.allow = allow
	g.silent = func() bool { return limited.Err() != nil }
	g.allow(quiet)
	g.log.heard = g.boots
	// Pdeathsig belongs to the thread that started QEMU.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = m.boot(limited, &g.log, g.handle)
	fmt.Fprintf(s.Log, "vm: Linux %s: %.1f s, of which %.1f s of CPU\n", k.Release, time.Since(g.start).Seconds(), m.cpu.Seconds())
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if err == nil && g.current < len(g.units) {
		err = errors.New("the VM stopped before its tests were done")
	}
	if err != nil && g.current == len(g.units) {
		fmt.Fprintf(s.Log, "vm: after the last test: %v\n%s\n", err, strings.Join(m.hang, "\n"))
	}
	if err == nil || g.current == len(g.units) {
		return nil, false, nil
	}
	if qemuFault(err) && s.again(g.units[g.current]) {
		fmt.Fprintf(s.Log, "vm: QEMU aborted by a fault of its own (e1000e); %s and what follows is run again\n", g.result().Package)
		return g.units[g.current:], false, nil
	}
	in := g.lost(err, m.hang)
	if again && g.up.Load() && g.current < len(g.units) {
		fmt.Fprintf(s.Log, "vm: the VM was lost in %s; what follows is run in another\n", in)
		return g.units[g.current:], true, nil
	}
	g.rest(in)
	return nil, true, nil
}

// qemuFault recognises the assertion by which QEMU's e1000e dies when MSI-X is switched on or off while its throttling
// timer runs (hw/net/e1000e_core.c, at least in 7.2). It says nothing of what is tested.
func qemuFault(err error) bool {
	return strings.Contains(err.Error(), "e1000e_intrmgr_on_throttling_timer")
}

// qemuTries is how often a package may meet that fault before it is one of ours to avoid.
const qemuTries = 3

// again counts such a fault, and reports whether the package is worth another try.
func (s *suite) again(u *unit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.faults++
	return u.faults <= qemuTries
}

// boots allows a VM that says something on its console to go on booting.
func (g *group) boots() {
	if !g.up.Load() && time.Since(g.start) < bootLimit {
		g.allow(quiet)
	}
}

// patience returns a context that ends when what was last allowed has passed.
func patience(ctx context.Context) (limited context.Context, allow func(time.Duration), stop func()) {
	limited, cancel := context.WithCancelCause(ctx)
	var last atomic.Int64 // the duration allowed last
	timer := time.AfterFunc(bootLimit, func() {
		cancel(silence{time.Duration(last.Load())})
	})
	allow = func(d time.Duration) {
		last.Store(int64(d))
		timer.Reset(d)
	}
	return limited, allow, func() {
		timer.Stop()
		cancel(nil)
	}
}

func (s *suite) initramfs(m *machine, units []*unit) error {
	rootfs := units[0].rootfs // the same for all, see kind
	a, err := s.base.archive(m.kernel, rootfs)
	if err != nil {
		return err
	}
	job := wire.Job{Load: load, Env: testEnv(), Limit: s.Timeout + s.grace/3, Grace: s.grace / 3}
	if rootfs != "" {
		addSystemd(a, rootfs)
		job.Init = systemdInit
	}
	for i, u := range units {
		t, err := addTest(a, u, i)
		if err != nil {
			return err
		}
		job.Tests = append(job.Tests, t)
	}
	return seal(a, job, m.initramfs)
}

// testEnv are the variables of ours that are for tests: IVT_TEST_*.
func testEnv() map[string]string {
	env := map[string]string{}
	for _, line := range os.Environ() {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, "IVT_TEST_") {
			env[name] = value
		}
	}
	return env
}

// handle takes what the guest says about its tests.
func (g *group) handle(f wire.Frame) {
	switch {
	case g.silent() && f.Out == nil:
	case f.Up != "":
		fmt.Fprintf(g.suite.Log, "vm: Linux %s is up after %.1f s\n", f.Up, time.Since(g.start).Seconds())
		g.up.Store(true)
		g.allow(defaultGrace)
	case f.Start != "":
		g.heard = time.Now()
		g.allow(g.suite.Timeout + g.suite.grace)
	case f.Out != nil:
		if !g.silent() {
			g.heard = time.Now()
		}
		g.output.Write(f.Out)
		if g.suite.Stream != nil {
			g.suite.Stream.Write(f.Out)
		}
	case f.Exit != nil && g.current < len(g.units):
		r := g.result()
		r.OK = f.Exit.Status == 0
		r.Seconds = float64(f.Exit.Millis) / 1000
		if f.Exit.Status > 2 {
			r.Trouble = append(r.Trouble, fmt.Sprintf("exit status %d", f.Exit.Status))
		}
		r.OK = !g.kernelTrouble(&r) && r.OK
		g.finish(r)
		g.allow(defaultGrace)
	}
}

// kernelTrouble adds what the kernel said, and says whether that is a fault.
func (g *group) kernelTrouble(r *Result) bool {
	faults, notes := g.log.take()
	for _, n := range notes {
		r.Trouble = append(r.Trouble, "note: "+n)
	}
	if faults != nil {
		r.Trouble = append(append(r.Trouble, "the kernel reported a fault:"), faults...)
	}
	return faults != nil
}

func (g *group) result() Result {
	return Result{
		Package: g.units[g.current].pkg.ImportPath,
		Kernel:  g.kernel.Name, Release: g.kernel.Release,
		Output: bytes.Clone(g.output.Bytes()),
	}
}

func (g *group) finish(r Result) {
	if r.OK {
		g.suite.remember(g.units[g.current].key, r)
	}
	g.suite.report(r)
	g.output.Reset()
	g.current++
}

// lost fails the current package, in which the VM was lost because of err, and
// returns its name. hang is what was found out about the VM.
func (g *group) lost(err error, hang []string) string {
	r := g.result()
	r.Trouble = append(r.Trouble, err.Error())
	if left := unfinished(r.Output); left != nil {
		r.Trouble = append(r.Trouble, "had begun and not ended: "+strings.Join(left, " "))
	}
	if errors.As(err, new(silence)) && !g.heard.IsZero() {
		r.Trouble = append(r.Trouble, "the test's last output came at "+g.heard.Format(time.TimeOnly)+", it is now "+time.Now().Format(time.TimeOnly))
	}
	r.Trouble = append(r.Trouble, hang...)
	g.kernelTrouble(&r)
	r.Trouble = append(append(r.Trouble, "last kernel lines:"), g.log.last(40)...)
	g.finish(r)
	return strings.TrimPrefix(r.Package, "github.com/ivtd/ivt/")
}

// rest fails what is not run, since the VM was lost before.
func (g *group) rest(in string) {
	for g.current < len(g.units) {
		r := g.result()
		r.Trouble = append(r.Trouble, "not run: the VM was lost in "+in)
		g.finish(r)
	}
}
