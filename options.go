package ivt

import (
	"time"

	"github.com/ivtd/ivt/irq"
)

// An Option changes how to connect, or where.
type Option func(*options)

type options struct {
	where
	shared, consent, wait, dryRun, dedicated bool
	trigger                                  irq.Trigger
	access                                   irq.Access
	label, kind                              string
	timeout, grace                           time.Duration
	any                                      int
	notice                                   func(Notice)
}

// where says which ivtd is meant.
type where struct {
	socket       string
	user, system bool
}

func optionsOf(list []Option) (o options) {
	for _, option := range list {
		option(&o)
	}
	return o
}

// Socket is the path of ivtd's socket. It goes before IVT_SOCKET.
func Socket(path string) Option { return func(o *options) { o.socket = path } }

// User means the ivtd that the user runs, at $XDG_RUNTIME_DIR/ivtd.sock.
func User() Option { return func(o *options) { o.user = true } }

// System means the machine's ivtd, at /run/ivtd/ivtd.sock.
func System() Option { return func(o *options) { o.system = true } }

// Shared consents to share the vector with others who consent, where each can have a copy (rule 2).
func Shared() Option { return func(o *options) { o.shared = true } }

// Trigger wants the vector to signal in that way, instead of accepting what it has.
func Trigger(t irq.Trigger) Option { return func(o *options) { o.trigger = t } }

// Access asks for a grant; default irq.AccessIRQ. With irq.AccessDevice come the device's descriptors.
func Access(a irq.Access) Option { return func(o *options) { o.access = a } }

// Consent allows others to have an interrupt of the device, beside Access(irq.AccessDevice).
func Consent() Option { return func(o *options) { o.consent = true } }

// Label is a text that refusals to others show; it grants nothing. At most 128 bytes that print.
func Label(text string) Option { return func(o *options) { o.label = text } }

// Wait waits until the vectors are free, as long as the context lets it (rule 10).
func Wait() Option { return func(o *options) { o.wait = true } }

// WaitFor waits for at most d.
func WaitFor(d time.Duration) Option { return func(o *options) { o.wait, o.timeout = true, d } }

// Grace keeps the vectors for d, in whole seconds, after the death of this process, for [Client.Resume].
func Grace(d time.Duration) Option { return func(o *options) { o.grace = d } }

// Any asks for any n free vectors of a source, which is then named instead of a vector: "soft:demo".
func Any(n int) Option { return func(o *options) { o.any = n } }

// Type restricts Any to one type of vector: "intx", "msi", "msix".
func Type(kind string) Option { return func(o *options) { o.kind = kind } }

// DryRun checks everything and changes nothing: connecting returns nil, nil if it would succeed now.
func DryRun() Option { return func(o *options) { o.dryRun = true } }

// Dedicated waits for interrupts on a thread of its own that blocks in the kernel, instead of in Go's poller:
// faster to wake by some microseconds, at the price of a thread for each goroutine that waits.
//
// A single vector that comes by eventfd is waited for in one read(2), with O_NONBLOCK cleared, whose end (Disconnect, a context, the
// end of the connection) is one more in the eventfd that is taken off again; so no other process may read it, which would take
// interrupts anyway. Streams and several vectors are waited for in epoll_wait(2). While interrupts come often the
// goroutine yields once in 5 ms, just before it waits, so that Go's scheduler leaves it its processor.
func Dedicated() Option { return func(o *options) { o.dedicated = true } }

// OnNotice has f called when ivtd announces the end of the connection, and when it is over. f must not wait.
func OnNotice(f func(Notice)) Option { return func(o *options) { o.notice = f } }

// A Notice is what ivtd tells the holder of a connection about its end.
type Notice struct {
	Over     bool      // it is over; otherwise it will be at the deadline
	Deadline time.Time // zero: now
	Reason   irq.Reason
	Detail   string
}
