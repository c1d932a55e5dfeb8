package varlink

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// A Server serves interfaces on Unix stream sockets. Its exported fields and what Register adds are
// set before the first Serve; the zero value is ready for use.
type Server struct {
	// Info is what org.varlink.service.GetInfo answers.
	Info Info

	// Limits bound what one client can cost.
	Limits Limits

	// Logger is told what an administrator should know: handlers that fail (Error), RLIMIT_NOFILE
	// reached and users over their limit (Warn), why sessions ended (Debug). Default: nobody.
	Logger *slog.Logger

	// Admit, if set, is asked about each new peer, on its session's goroutine. An *Error is what
	// the peer gets before the session ends; any other error is PermissionDenied.
	Admit func(*Peer) error

	// CheckReplies holds each reply and error against its interface before it is sent. It is for
	// tests: a reply that does not fit is an error of the handler's.
	CheckReplies bool

	// Context is the parent of the calls' contexts. Default: context.Background().
	Context context.Context

	descriptions map[string]string
	names        []string           // interfaces, in the order of registration
	methods      map[string]*method // by full name

	start  sync.Once
	limits Limits
	base   context.Context // parent of the calls' contexts, ended by Close
	cancel context.CancelCauseFunc
	counts struct{ accepted, refused, calls atomic.Uint64 }

	closing  atomic.Bool
	stopping chan struct{} // closed when closing is set
	refusing chan struct{} // as full as there are refused peers being closed that no timer closes

	mu        sync.Mutex
	listeners map[*door]bool
	sessions  map[*Session]bool
	users     map[uint32]*user
	held      map[int]held // refused peers, by descriptor
	refusals  int
	empty     chan struct{} // closed when a closing server has no more sessions and refusals
	last      uint64        // session id
}

// A method is what a call can be for.
type method struct {
	iface   *Interface
	member  *Member
	handler Handler // nil: declared, not implemented
}

// user counts one uid's sessions.
type user struct {
	sessions int
	told     bool // the log has it that this user is over the limit
}

// Register adds an interface: its description, which clients can ask for, and a handler for each
// method by its name without the interface's. Methods without a handler answer MethodNotImplemented.
// It is an error to register a name twice or a handler that the description does not have.
func (s *Server) Register(description string, handlers map[string]Handler) error {
	s.registerService()
	iface, err := ParseInterface(description)
	if err != nil {
		return err
	}
	if _, ok := s.descriptions[iface.Name]; ok {
		return fmt.Errorf("varlink: %s is registered already", iface.Name)
	}
	for name := range handlers {
		if iface.methods[name] == nil {
			return fmt.Errorf("varlink: %s has no method %s", iface.Name, name)
		}
	}
	s.add(iface, description, handlers)
	return nil
}

// registerService adds org.varlink.service, once, before any other.
func (s *Server) registerService() {
	if s.methods == nil {
		s.methods = map[string]*method{}
		s.descriptions = map[string]string{}
		s.add(MustParseInterface(serviceDescription), serviceDescription, s.serviceHandlers())
	}
}

func (s *Server) add(iface *Interface, description string, handlers map[string]Handler) {
	for name, member := range iface.methods {
		s.methods[iface.Name+"."+name] = &method{iface, member, handlers[name]}
	}
	s.descriptions[iface.Name] = description
	s.names = append(s.names, iface.Name)
}

// find returns the method of that full name, or the error of org.varlink.service that says what is
// not there.
func (s *Server) find(full string) (*method, error) {
	if m := s.methods[full]; m != nil {
		if m.handler == nil {
			return nil, MethodNotImplemented(full)
		}
		return m, nil
	}
	iface, _, ok := splitMethod(full)
	if !ok {
		return nil, InvalidParameter("method")
	}
	if _, ok := s.descriptions[iface]; !ok {
		return nil, InterfaceNotFound(iface)
	}
	return nil, MethodNotFound(full)
}

// prepare fills in what is derived from the exported fields.
func (s *Server) prepare() {
	s.start.Do(func() {
		s.registerService()
		s.limits = s.Limits.forServer()
		parent := s.Context
		if parent == nil {
			parent = context.Background()
		}
		s.base, s.cancel = context.WithCancelCause(parent)
		s.listeners = map[*door]bool{}
		s.held = map[int]held{}
		s.sessions = map[*Session]bool{}
		s.users = map[uint32]*user{}
		s.stopping = make(chan struct{})
		s.refusing = make(chan struct{}, mostRefusals)
		s.empty = make(chan struct{})
	})
}

func (s *Server) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// Stats are counts since the server began, and of now.
type Stats struct {
	Sessions int    // open now
	Accepted uint64 // sessions that were opened
	Refused  uint64 // connections over a limit
	Calls    uint64 // well-formed calls, answered in whatever way
}

// Stats returns the server's counts.
func (s *Server) Stats() Stats {
	s.prepare()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Sessions: len(s.sessions),
		Accepted: s.counts.accepted.Load(),
		Refused:  s.counts.refused.Load(),
		Calls:    s.counts.calls.Load(),
	}
}
