package varlink

import "time"

// Limits bound what one session can cost. Whoever reaches one harms only itself: its call is
// refused or its session ends. The zero value of each field stands for its default; a negative
// value means no limit (for Descriptors: none accepted).
//
// Some bounds need no number. A session has one call at a time; further ones that it sends wait in
// the kernel, at most the sender's SO_SNDBUF. Nothing that was sent to a client waits in the
// server's memory either: a reply is written before the next call is read. And a reply that
// carries descriptors goes out only when everything before it was read, so a session that does not
// read holds at most one such message of the server's descriptors in flight (they count against
// RLIMIT_NOFILE of the server's user, unix(7), ETOOMANYREFS).
type Limits struct {
	// MessageSize is how many bytes a message may have; of a server's limits, a call, of a
	// client's, a reply. Default 128 KiB for a server, 16 MiB for a client (systemd's limit).
	MessageSize int

	// Nesting is how deep arrays and objects of a message may be nested. Default 32.
	Nesting int

	// Descriptors is how many descriptors a call may bring. A server that accepts none has the
	// kernel drop what comes and serves the call; from Linux 6.16 on the kernel then refuses to
	// send them (SO_PASSRIGHTS, EPERM). Default none for a server; for a client, 253 a reply, which
	// is the kernel's limit.
	Descriptors int

	// Sessions is how many sessions a server has at once. Default 4096. Each is a goroutine that
	// a hostile descriptor can block when it is dropped, so stay well below Go's 10,000 threads.
	Sessions int

	// SessionsPerUser is how many of them one uid has. Default 1024.
	SessionsPerUser int

	// IdleTime ends a session that sent no call for so long. Default for ever.
	IdleTime time.Duration

	// MessageTime is what a message may take from its first byte to its last. Default 10 s.
	MessageTime time.Duration

	// WriteTime is how long a reply waits for a peer that does not read. Default 10 s.
	WriteTime time.Duration
}

// maxReply is the longest message sent: receivers need not accept more (16 MiB is systemd's limit).
const maxReply = 16 << 20

// unlimited stands for a limit that was turned off.
const unlimited = 1<<31 - 1

// forServer fills in a server's defaults.
func (l Limits) forServer() Limits { return l.fill(128<<10, 0) }

// forClient fills in a client's defaults.
func (l Limits) forClient() Limits { return l.fill(maxReply, maxDescriptors) }

func (l Limits) fill(size, descriptors int) Limits {
	l.MessageSize = count(l.MessageSize, size)
	l.Nesting = count(l.Nesting, 32)
	l.Sessions = count(l.Sessions, 4096)
	l.SessionsPerUser = count(l.SessionsPerUser, 1024)
	l.IdleTime = span(l.IdleTime, 0)
	l.MessageTime = span(l.MessageTime, 10*time.Second)
	l.WriteTime = span(l.WriteTime, 10*time.Second)
	if l.Descriptors == 0 {
		l.Descriptors = descriptors
	}
	l.Descriptors = min(max(l.Descriptors, 0), maxDescriptors)
	return l
}

func count(n, standard int) int {
	switch {
	case n == 0:
		return standard
	case n < 0:
		return unlimited
	}
	return n
}

// span turns "no limit" into 0, which sets no deadline.
func span(d, standard time.Duration) time.Duration {
	switch {
	case d == 0:
		return standard
	case d < 0:
		return 0
	}
	return d
}
