package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
	"github.com/ivtd/ivt/varlink"
)

// Config is what a Server is made with. The zero value of each field gives the default.
type Config struct {
	Policy  *policy.Policy                 // default: policy.Default(Owner)
	Load    func() (*policy.Policy, error) // what Reload calls; default: keeps the policy
	Owner   int                            // ivtd's own user; 0 is root
	Log     *slog.Logger                   // default: nobody
	Version string
	Host    Host // who holds what ivtd does not; default: nobody knows
	// Store is where the keeper holds what must outlive this process, with what former workers left; default: nothing does.
	Store    *keeper.Store
	Left     map[string]*keeper.Entry
	Keep     source.Keep // of the sources; default: the store
	Root     string      // where sources read /sys; default "/"
	Clock    irq.Clock   // default: the system's
	Instance string      // identity of the registry; default random
	History  History     // default: a ring in memory, as long as the policy says
	// After tells the number after which events are numbered, where the store has none; default 0. It may take its time.
	After    func() uint64
	Check    bool // hold every reply against the interface, for tests
	Sessions int  // most sessions at once; default MostSessions
}

// MostSessions is how many sessions there are at once: ten thousand may wait, each in one. A hostile descriptor can make each hold a
// thread (varlink.Limits), so a process needs as many (runtime/debug.SetMaxThreads; Go's default is 10,000).
const MostSessions = 16384

// Host tells who holds vectors that no source of ivtd has: the kernel's.
type Host interface {
	// Holders returns who holds v, with what to do to get it. known is false if the machine has no such vector.
	Holders(ctx context.Context, v irq.Vector) (holders []irq.Holder, remedies []string, known bool, err error)
}

// A Server is one ivtd.
type Server struct {
	config      Config
	log         *slog.Logger
	live        policy.Live
	registry    *irq.Registry
	wire        varlink.Server
	poller      *poller
	processes   *processes
	sources     *sources
	users       users
	pace        pace
	bells       bells
	history     *historian
	asking      turns    // looks at the host, and at every vector
	keeping     *keeping // nil without a keeper
	formerWaits *waits
	adopting    sync.Mutex // around these, in New
	adoption    Adoption
	adopted     []*link // to be listened to, and rung
	noting      sync.WaitGroup
	since       time.Time
	descriptors counted
	beat        beat         // of those who watch
	told        told         // to them
	lastScarce  atomic.Int64 // when the log heard that descriptors ran out

	base   context.Context // ends when the server does: waiting calls and watchers go home
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	links map[string]*link // by connection
}

var (
	errClosing = errors.New("ivtd is stopping")
	errLeaving = errors.New("ivtd is being replaced")
)

// New makes a server and opens the sources that the policy names. A source that cannot be opened is logged
// and left out.
func New(c Config) (*Server, error) {
	s := &Server{config: c.filled(), since: time.Now(), links: map[string]*link{}}
	s.log = s.config.Log
	s.live.Store(s.config.Policy)
	var err error
	if s.poller, err = newPoller(s.log); err != nil {
		return nil, err
	}
	s.base, s.cancel = context.WithCancelCause(context.Background())
	s.processes = newProcesses(s.poller)
	limits := s.config.Policy.Limits
	deadline := limits.AckDeadline
	if deadline == 0 {
		deadline = -1
	}
	s.registry = irq.New(s.registryConfig(irq.Config{Clock: c.Clock, EventRing: limits.History, AckDeadline: deadline, Instance: c.Instance}))
	s.history = newHistorian(s.registry, s.config.History, s.log)
	s.sources = newSources(s)
	s.sources.open(s.base, s.config.Policy)
	s.adopt(s.base)
	if s.keeping != nil {
		s.noting.Go(func() { s.noteStorms(s.base) })
	}
	if err := s.register(); err != nil {
		return nil, errors.Join(err, s.Close(context.Background()))
	}
	s.noting.Go(s.goOnWithAdopted)
	return s, nil
}

// registryConfig goes on where a former worker ended.
func (s *Server) registryConfig(c irq.Config) irq.Config {
	if s.config.Store == nil {
		c.Sequence = s.config.After()
		return c
	}
	s.keeping = newKeeping(s.config.Store, s.config.Left, s.log)
	if s.config.Keep == nil {
		s.config.Keep = s.keeping
	}
	sequence := s.keeping.global(globalSequence)
	c.Instance = s.config.Store.Memory().Instance()
	c.Sequence, c.Serial, c.Turn = sequence.Load(), s.keeping.global(globalSerial).Load(), s.keeping.global(globalTurn).Load()
	if c.Sequence == 0 { // otherwise a former worker has asked, and gone on from there
		c.Sequence = s.config.After()
	}
	c.Mark = sequence.Store
	return c
}

// Leave ends the server and leaves everything to the next worker: nobody is released.
func (s *Server) Leave(ctx context.Context) error {
	s.cancel(errLeaving)
	err := s.wire.Shutdown(ctx)
	s.history.close()
	return err
}

// left hangs up on a call that the next worker will be asked again, in place of an answer.
func (s *Server) left(err error) error {
	if err != nil && context.Cause(s.base) == errLeaving {
		return varlink.ErrHungUp
	}
	return err
}

// Adopted says what became of the connections of a former worker.
func (s *Server) Adopted() Adoption { return s.adoption }

func (c Config) filled() Config {
	if c.Policy == nil {
		c.Policy = policy.Default(c.Owner)
	}
	if c.Load == nil {
		kept := c.Policy
		c.Load = func() (*policy.Policy, error) { return kept, nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Root == "" {
		c.Root = "/"
	}
	if c.After == nil {
		c.After = func() uint64 { return 0 }
	}
	if c.Sessions == 0 {
		c.Sessions = MostSessions
	}
	return c
}

// register tells the varlink server what there is.
func (s *Server) register() error {
	limits := s.live.Load().Limits
	perUser := limits.SessionsPerUser
	if perUser == 0 {
		perUser = -1
	}
	s.wire = varlink.Server{
		Info:   varlink.Info{Vendor: "ivt", Product: "ivtd", Version: s.config.Version, URL: "https://github.com/ivtd/ivt"},
		Limits: varlink.Limits{Sessions: s.config.Sessions, SessionsPerUser: perUser},
		Logger: s.log, Admit: s.admit, CheckReplies: s.config.Check, Context: s.base,
	}
	return s.wire.Register(api.Text, map[string]varlink.Handler{
		"Connect": s.handle("connect", s.connect), "ConnectAny": s.handle("connect", s.connectAny),
		"Deliveries": s.handle("get deliveries", s.deliveries), "Resume": s.handle("resume", s.resume),
		"Disconnect": s.handle("disconnect", s.disconnect), "SetSuccessor": s.handle("set successor", s.setSuccessor),
		"Mask": s.handle("mask", s.mask), "Unmask": s.handle("unmask", s.unmask),
		"Doorbell": s.handle("ring", s.doorbell), "Raise": s.handle("raise", s.raise),
		"Revoke": s.handle("revoke", s.revoke), "Detach": s.handle("detach", s.detach),
		"Lookup": s.handle("look up", s.lookup), "List": s.costing(pageCost, "list", s.list), "Watch": s.costing(pageCost, "watch", s.watch),
		"History": s.costing(pageCost, "read history", s.pastEvents), "Status": s.handle("ask for status", s.status),
	})
}

// Serve accepts sessions on l until Close. Several listeners may be served.
func (s *Server) Serve(l net.Listener) error {
	if err := s.wire.Serve(l); !errors.Is(err, varlink.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends the server: waiting calls are cancelled, calls under way finish, every lifeline says why and
// hangs up, sources are closed. When ctx ends first, whoever is not done is cut off.
func (s *Server) Close(ctx context.Context) error {
	s.cancel(errClosing)
	err := s.wire.Shutdown(ctx)
	s.noting.Wait()
	s.registry.Close()
	s.dropLinks()
	s.dropBells()
	s.sources.close()
	s.history.close()
	s.poller.close()
	return err
}

// Registry returns the table of vectors.
func (s *Server) Registry() *irq.Registry { return s.registry }

// Policy returns the policy in force.
func (s *Server) Policy() *policy.Policy { return s.live.Load() }

// Sources returns the open sources by name.
func (s *Server) Sources() map[string]source.Source { return s.sources.all() }

// Sessions returns how many sessions are open.
func (s *Server) Sessions() int { return s.wire.Stats().Sessions }

// Healthy returns when the parts of the server have answered: for a watchdog.
func (s *Server) Healthy() {
	s.registry.Stats()
	s.processes.count()
	s.wire.Stats()
	s.sources.all()
}

// pid is this process, for Status.
func pid() int { return os.Getpid() }
