package daemon

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

// sources are those that the policy names and that could be opened. They come and go one at a time.
type sources struct {
	server   *Server
	working  sync.Mutex
	leaving  sync.WaitGroup // one goroutine a source, which waits for its device to leave
	watching sync.Once

	mu      sync.Mutex
	present map[string]*opened
	denied  map[string]bool // these are tried again
}

type opened struct {
	source.Source
	attached *irq.Source
	settings map[string]any
	closed   chan struct{}
}

func newSources(s *Server) *sources { return &sources{server: s, present: map[string]*opened{}} }

func (ss *sources) get(name string) source.Source {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if o := ss.present[name]; o != nil {
		return o.Source
	}
	return nil
}

func (ss *sources) all() map[string]source.Source {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	all := make(map[string]source.Source, len(ss.present))
	for name, o := range ss.present {
		all[name] = o.Source
	}
	return all
}

// open brings what is open in line with a policy: what it names anew is opened, what it no longer names is
// let go if nobody is connected, or if the policy says that a reload revokes.
func (ss *sources) open(ctx context.Context, p *policy.Policy) {
	ss.working.Lock()
	defer ss.working.Unlock()
	if len(p.Devices) > 0 {
		ss.watch(ss.server.base)
	}
	wanted := ss.wanted(ctx, p)
	for name, o := range ss.snapshot() {
		if settings, ok := wanted[name]; ok && reflect.DeepEqual(settings, o.settings) {
			continue
		}
		if err := ss.drop(ctx, name, o, p.RevokeOnReload); err != nil {
			ss.server.log.Warn("the policy changed a source that is in use; it stays as it is until it is free", "source", name, "err", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if ss.get(name) == nil {
			ss.add(ctx, name, wanted[name])
		}
	}
}

// wanted are the settings of every source that the policy names and that exists here.
func (ss *sources) wanted(ctx context.Context, p *policy.Policy) map[string]map[string]any {
	wanted := map[string]map[string]any{}
	for _, soft := range p.Softs {
		wanted[soft.Name] = soft.Settings
	}
	if len(p.Devices) == 0 {
		return wanted
	}
	for _, scheme := range source.Schemes() {
		found, err := scheme.Discover(ctx)
		if err != nil {
			ss.server.log.Warn("look for devices", "scheme", scheme.Name(), "err", err)
		}
		for _, f := range found {
			d, ok := p.Wanted(func(d *policy.Device) bool { return d.Matches(f) })
			switch {
			case !ok:
			case f.Note != "":
				ss.server.log.Warn("the policy names a device that cannot be opened", "source", f.Name, "why", f.Note)
			default:
				wanted[f.Name] = d.Settings
			}
		}
	}
	return wanted
}

// add opens a source and attaches it. What fails is logged: the other sources are not to suffer.
func (ss *sources) add(ctx context.Context, name string, settings map[string]any) {
	s := ss.server
	scheme := source.Lookup(irq.Vector{Source: name}.Scheme())
	if scheme == nil {
		s.log.Error("the policy names a source of an unknown kind", "source", name)
		return
	}
	c := source.Config{Name: name, Settings: settings, Root: s.config.Root, Ack: source.Acknowledge(s.registry)}
	if s.config.Keep != nil {
		c.Keep = prefixed{s.config.Keep, sourcePrefix + name + "/"}
	}
	if s.keeping != nil {
		s.keeping.tally(name)
	}
	src, err := scheme.Open(ctx, c)
	if err != nil {
		if !ss.later(name, err) {
			s.log.Error("open a source", "source", name, "err", err)
		}
		return
	}
	attached, err := s.registry.Attach(src.Spec())
	if err != nil {
		s.log.Error("attach a source", "source", name, "err", errors.Join(err, src.Close()))
		return
	}
	if s.keeping != nil {
		s.keeping.restoreCounts(name, attached)
	}
	src.Attached(attached)
	o := &opened{Source: src, attached: attached, settings: settings, closed: make(chan struct{})}
	ss.mu.Lock()
	ss.present[name] = o
	ss.mu.Unlock()
	ss.leaving.Go(func() { ss.await(name, o) })
	s.log.Info("source opened", "source", name)
}

// await detaches a source whose device leaves (rule 12).
func (ss *sources) await(name string, o *opened) {
	select {
	case <-o.closed:
	case <-o.Gone():
		ss.working.Lock()
		defer ss.working.Unlock()
		ss.server.log.Warn("the device of a source is leaving", "source", name)
		if err := ss.drop(context.Background(), name, o, true); err != nil {
			ss.server.log.Error("let a source go", "source", name, "err", err)
		}
	}
}

// detach lets a source go on an administrator's word.
func (ss *sources) detach(ctx context.Context, name string, force bool) error {
	ss.working.Lock()
	defer ss.working.Unlock()
	ss.mu.Lock()
	o := ss.present[name]
	ss.mu.Unlock()
	if o == nil {
		return noSuchSource("detach", name)
	}
	return ss.drop(ctx, name, o, force)
}

// drop detaches and closes, once.
func (ss *sources) drop(ctx context.Context, name string, o *opened, force bool) error {
	ss.mu.Lock()
	gone := ss.present[name] != o
	ss.mu.Unlock()
	if gone {
		return nil
	}
	if err := o.attached.Detach(ctx, force); err != nil {
		return err
	}
	ss.mu.Lock()
	delete(ss.present, name)
	ss.mu.Unlock()
	close(o.closed)
	return o.Close()
}

func (ss *sources) snapshot() map[string]*opened {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return maps.Clone(ss.present)
}

// close closes all sources. The registry has released every claim.
func (ss *sources) close() {
	ss.working.Lock()
	for name, o := range ss.snapshot() {
		close(o.closed)
		if err := o.Close(); err != nil {
			ss.server.log.Error("close a source", "source", name, "err", err)
		}
	}
	ss.mu.Lock()
	clear(ss.present)
	ss.mu.Unlock()
	ss.working.Unlock()
	ss.leaving.Wait()
}

// prefixed is a Keep for one source, whose keys are its own.
type prefixed struct {
	source.Keep
	prefix string
}

func (p prefixed) Put(key string, value []byte, fds ...int) error {
	return p.Keep.Put(p.prefix+key, value, fds...)
}

func (p prefixed) Drop(key string) { p.Keep.Drop(p.prefix + key) }

// Prefix is what this source's keys begin with.
func (p prefixed) Prefix() string { return p.prefix }

// Counter is the number that goes with a key, where the Keep has any.
func (p prefixed) Counter(key string) *atomic.Uint64 {
	if c, ok := p.Keep.(source.Counting); ok {
		return c.Counter(p.prefix + key)
	}
	return nil
}

// Tally is one of the numbers that go with a key, where the Keep has any.
func (p prefixed) Tally(key string, n int) *atomic.Uint64 {
	if t, ok := p.Keep.(source.Tallying); ok {
		return t.Tally(p.prefix+key, n)
	}
	return nil
}

// Released waits for the Keep, if that is not at once.
func (p prefixed) Released() {
	if r, ok := p.Keep.(source.Releasing); ok {
		r.Released()
	}
}

// All returns the entries of this source. Those of others stay for them, for a Keep gives copies.
func (p prefixed) All() map[string]source.Kept {
	if k, ok := p.Keep.(*keeping); ok {
		return k.take(p.prefix)
	}
	mine := map[string]source.Kept{}
	for key, kept := range p.Keep.All() {
		if len(key) > len(p.prefix) && key[:len(p.prefix)] == p.prefix {
			mine[key[len(p.prefix):]] = kept
		}
	}
	return mine
}
