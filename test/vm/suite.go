package vm

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ivtd/ivt/test/vm/kernels"
)

// Options says what to run. Log and Cache are needed, the rest may be zero.
type Options struct {
	Kernels  []string      // names as package kernels has them; default [kernels.Matrix]
	Packages []string      // patterns as for go list; default "./..."
	Programs []string      // of this module, to have in the PATH of Shell and Script
	Run      string        // -test.run, instead of what the package says
	Count    int           // -test.count; anything but 0 runs although the result is known
	Timeout  time.Duration // of a package in the VM; default 4 minutes
	Jobs     int           // VMs at a time; default 2
	Memory   int           // MiB of each VM; default 768
	Update   bool          // look for newer kernels
	// Instructions makes the number of instructions the time of Shell and Script, whatever else the host does: for measuring.
	Instructions bool
	Cache        string    // default [kernels.DefaultCache]
	Log          io.Writer // what is fetched, built, booted
	// Each gets every result when it is there, one at a time. nil drops them.
	Each func(Result)
	// Stream gets the output of tests as it comes, if it is not nil; use it
	// with one kernel.
	Stream io.Writer

	grace time.Duration // of a test beyond Timeout; default defaultGrace
}

// Result is how a package's tests went on a kernel.
type Result struct {
	Package, Kernel, Release string
	OK, Cached               bool
	Seconds                  float64 // inside the VM
	Output                   []byte  // of the test binary, with -test.v
	// Trouble is what the harness has to add: kernel faults, a killed VM and
	// why it hung, the last kernel lines, and notes, which may come with a pass.
	// Nil if the test binary said it all.
	Trouble []string
}

func (o *Options) defaults() error {
	if len(o.Kernels) == 0 {
		o.Kernels = kernels.Matrix
	}
	if len(o.Packages) == 0 {
		o.Packages = []string{"./..."}
	}
	if o.Timeout == 0 {
		o.Timeout = 4 * time.Minute
	}
	if o.grace == 0 {
		o.grace = defaultGrace
	}
	if o.Jobs == 0 {
		o.Jobs = 2
	}
	if o.Memory == 0 {
		o.Memory = 768
	}
	if o.Each == nil {
		o.Each = func(Result) {}
	}
	if o.Cache == "" {
		var err error
		o.Cache, err = kernels.DefaultCache()
		return err
	}
	return nil
}

// Run runs packages on kernels and says whether all passed. An error means
// that they could not be run: what is missing and how to get it.
func Run(ctx context.Context, o Options) (ok bool, err error) {
	if err := o.defaults(); err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "ivt-vm-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	s, err := prepare(ctx, o, tmp)
	if err != nil {
		return false, err
	}
	s.forget()
	pkgs, err := s.builder.packages(ctx, o.Packages)
	if err != nil {
		return false, err
	}
	if len(pkgs) == 0 {
		return false, fmt.Errorf("no package of %v has tests that import %s", o.Packages, guestPackage)
	}
	return s.all(ctx, pkgs)
}

// suite is one call of Run.
type suite struct {
	Options
	tmp     string
	builder *builder
	getter  *kernels.Getter
	base    *base

	mu sync.Mutex // Each, and ok
	ok bool
}

// prepare builds what every VM needs.
func prepare(ctx context.Context, o Options, tmp string) (*suite, error) {
	b, err := newBuilder(ctx, tmp)
	if err != nil {
		return nil, err
	}
	s := &suite{Options: o, tmp: tmp, builder: b, ok: true, getter: &kernels.Getter{
		Cache: o.Cache, Config: filepath.Join(b.root, "test/vm/kernel.config"), Update: o.Update, Log: o.Log,
	}}
	busybox, err := s.getter.Busybox(ctx)
	if err != nil {
		return nil, err
	}
	init, err := b.program(ctx, "test/vm/init")
	if err != nil {
		return nil, err
	}
	s.base, err = newBase(busybox, init[0])
	return s, err
}

// all runs the packages on each kernel, some kernels at a time.
func (s *suite) all(ctx context.Context, pkgs []testPackage) (bool, error) {
	var (
		wg   sync.WaitGroup
		errs = make([]error, len(s.Kernels))
		slot = make(chan struct{}, s.Jobs)
	)
	for i, name := range s.Kernels {
		wg.Go(func() {
			slot <- struct{}{}
			defer func() { <-slot }()
			errs[i] = s.onKernel(ctx, name, pkgs)
		})
	}
	wg.Wait()
	return s.ok, errors.Join(errs...)
}

// onKernel boots one kernel for each kind of machine that the packages want.
func (s *suite) onKernel(ctx context.Context, name string, pkgs []testPackage) error {
	k, err := s.getter.Get(ctx, name)
	if err != nil {
		return err
	}
	groups := map[string][]*unit{}
	var order []string
	for _, p := range pkgs {
		if !p.wants(name) {
			continue
		}
		u, err := s.unit(ctx, k, p)
		if err != nil {
			return err
		}
		if r, ok := s.recall(u.key); ok && s.Count == 0 {
			r.Kernel = name
			s.report(r)
			continue
		}
		if groups[u.kind()] == nil {
			order = append(order, u.kind())
		}
		groups[u.kind()] = append(groups[u.kind()], u)
	}
	for _, kind := range order {
		if err := s.bootGroup(ctx, k, groups[kind]); err != nil {
			return fmt.Errorf("kernel %s: %w", name, err)
		}
	}
	return nil
}

func (s *suite) report(r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ok = s.ok && r.OK
	s.Each(r)
}

// unit is one package on one kernel.
type unit struct {
	pkg      testPackage
	binary   string
	programs []string
	args     []string
	host     hostFiles
	rootfs   string // of systemd, or ""
	key      string // of the result, by content
	faults   int    // of QEMU's own, see qemuFault
}

// kind tells machines apart that cannot be one boot.
func (u *unit) kind() string {
	kind := fmt.Sprint(u.pkg.noIOMMU, u.pkg.init)
	if u.pkg.pins {
		kind += " pins"
	}
	return kind
}

func (s *suite) unit(ctx context.Context, k *kernels.Kernel, p testPackage) (*unit, error) {
	u := &unit{pkg: p, args: s.testArgs(p)}
	var err error
	if u.binary, err = s.builder.test(ctx, p.ImportPath); err != nil {
		return nil, err
	}
	if u.rootfs, err = s.systemdRoot(ctx, p.init); err != nil {
		return nil, err
	}
	for _, name := range p.programs {
		built, err := s.builder.program(ctx, name)
		if err != nil {
			return nil, err
		}
		u.programs = append(u.programs, built...)
	}
	if u.host, err = fromHost(ctx, p.directives, s.tmp); err != nil {
		return nil, fmt.Errorf("%s: %w", p.ImportPath, err)
	}
	u.key, err = s.key(k, u)
	return u, err
}

func (s *suite) testArgs(p testPackage) []string {
	run := s.Run
	if run == "" {
		run = p.run
	}
	// With -test.v it is known which test a VM was lost in.
	args := []string{"-test.timeout=" + s.Timeout.String(), "-test.paniconexit0", "-test.v=true"}
	if run != "" {
		args = append(args, "-test.run="+run)
	}
	if s.Count > 0 {
		args = append(args, fmt.Sprintf("-test.count=%d", s.Count))
	}
	return args
}

// key names the result by all that it depends on.
func (s *suite) key(k *kernels.Kernel, u *unit) (string, error) {
	identity, err := s.machine(k, u, "").identity()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, identity, u.kind(), u.args, testEnv(), users, groups, load, u.rootfs, vmService, masked)
	if err := u.host.hash(h); err != nil {
		return "", err
	}
	err = hashFiles(h, append(append(u.files(), u.programs...), u.binary, s.base.init, s.base.busybox)...)
	return fmt.Sprintf("%.16x", h.Sum(nil)), err
}

func (s *suite) machine(k *kernels.Kernel, u *unit, dir string) *machine {
	return &machine{
		kernel: k, dir: dir, initramfs: filepath.Join(dir, "initramfs"),
		noIOMMU: u.pkg.noIOMMU, pins: u.pkg.pins, memory: s.Memory,
	}
}

func (s *suite) recall(key string) (r Result, ok bool) {
	text, err := os.ReadFile(filepath.Join(s.Cache, "vm-results", key))
	if err != nil || json.Unmarshal(text, &r) != nil {
		return r, false
	}
	now := time.Now()
	os.Chtimes(filepath.Join(s.Cache, "vm-results", key), now, now)
	r.Cached = true
	return r, true
}

// forget removes results that nobody asked for in a month.
func (s *suite) forget() {
	old, _ := filepath.Glob(filepath.Join(s.Cache, "vm-results", "*"))
	for _, f := range old {
		if info, err := os.Stat(f); err == nil && time.Since(info.ModTime()) > 30*24*time.Hour {
			os.Remove(f)
		}
	}
}

// remember keeps a pass. A result that cannot be kept is run again, no more.
func (s *suite) remember(key string, r Result) {
	dir := filepath.Join(s.Cache, "vm-results")
	text, err := json.Marshal(r)
	if err == nil && os.MkdirAll(dir, 0o755) == nil {
		os.WriteFile(filepath.Join(dir, key), text, 0o644)
	}
}
