package varlink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A message is one frame, without its NUL, and what came with it.
type message struct {
	text   []byte
	fds    []int
	lost   bool        // the kernel dropped descriptors (MSG_CTRUNC)
	sender Credentials // of who wrote it; only where SO_PASSCRED is set
	mixed  bool        // parts of it were written by different processes
}

// A wire moves frames over one socket. A frame is a JSON text and a NUL.
//
// Reading. The kernel joins a message without descriptors and a following one with descriptors in
// one recvmsg, and they seem to belong to the first. So a message's end is found with MSG_PEEK and
// no control buffer, and then exactly that much is read, whose descriptors are its own. A peek that
// finds no NUL takes what it saw and goes on: it would see the same again, for ever. Where it does
// not matter whose descriptors they are (see greedy) one recvmsg takes what there is.
//
// Writing. One sendmsg a message, so that descriptors stand at its beginning; only what the socket
// had no room for goes after it. A message with descriptors is sent when everything before it was
// read (see Limits), so that receivers that do not peek cannot go wrong either.
//
// One goroutine reads and one writes at a time.
type wire struct {
	conn conn
	raw  syscall.RawConn

	size     int           // bytes a received message may have
	slow     time.Duration // for a received message, from its first byte on
	patience time.Duration // for a sent message
	sealed   bool          // the kernel lets the peer send no descriptors
	unwanted bool          // descriptors are not received: the kernel drops what comes (package bury)

	// greedy reads beyond a message, into rest. It is for a server that wants no descriptors, and
	// for a client: the only message that may bring some is the reply to a plain call, and behind
	// that nothing follows. The kernel joins no messages of different senders (SO_PASSCRED).
	greedy bool
	rest   []byte
	sender Credentials // of the rest

	in  incoming
	out outgoing

	// Method values, made once, for RawConn; each call would allocate them anew.
	stepIn, stepOut func(fd uintptr) bool
}

// incoming is the state of a read.
type incoming struct {
	message
	known bool // sender was set
	park  bool // wait inside RawConn.Read; else return, so that read can set a deadline
	done  bool // with a message, or with err
	err   error
}

// outgoing is the state of a write.
type outgoing struct {
	rest []byte
	oob  []byte // goes with the first byte
	park bool   // as above
	err  error
}

var (
	errIdle    = errors.New("no call within the idle time")
	errStalled = errors.New("the message did not arrive in time")
	errUnsaid  = errors.New("nothing of the message was sent")
)

// A conn is a socket that the runtime's poller waits for: a client's *net.UnixConn, a server's *os.File.
type conn interface {
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Close() error
}

func newWire(conn conn, raw syscall.RawConn, limits Limits) *wire {
	w := &wire{
		conn: conn, raw: raw, greedy: limits.Descriptors == 0,
		size: limits.MessageSize, slow: limits.MessageTime, patience: limits.WriteTime,
	}
	w.stepIn, w.stepOut = w.receive, w.send
	return w
}

// read returns the next message, waiting for its first byte no longer than idle (0: for ever). On
// an error no descriptors are left open. Errors: io.EOF between messages, io.ErrUnexpectedEOF
// within one, ErrMessageTooLong, errIdle, errStalled, os.ErrDeadlineExceeded if somebody else set
// a deadline, and what recvmsg(2) says.
func (w *wire) read(idle time.Duration) (message, error) {
	w.in = incoming{park: w.slow == 0}
	defer func() { w.in = incoming{} }()
	w.remember()
	if idle > 0 {
		w.conn.SetReadDeadline(time.Now().Add(idle))
		defer w.conn.SetReadDeadline(time.Time{})
	}
	for !w.in.done {
		if err := w.raw.Read(w.stepIn); err != nil {
			w.in.finish(w.why(err, idle > 0))
		}
		if !w.in.done { // it began, and there is no more of it yet
			w.in.park = true
			w.conn.SetReadDeadline(time.Now().Add(w.slow))
			defer w.conn.SetReadDeadline(time.Time{})
		}
	}
	if w.in.err != nil {
		discardAll(w.in.fds)
		return message{}, w.in.err
	}
	return w.in.message, nil
}

// remember begins with what was read beyond the former message.
func (w *wire) remember() {
	if rest := w.rest; len(rest) > 0 {
		w.rest = nil
		w.in.from(w.sender)
		w.add(rest)
	}
}

// add takes text that was read: up to its first NUL it is the message's, the others come later.
func (w *wire) add(text []byte) {
	in := &w.in
	body, rest, whole := bytes.Cut(text, []byte{0})
	if len(in.text)+len(body) > w.size {
		in.finish(ErrMessageTooLong)
		return
	}
	in.text = append(in.text, body...)
	if whole {
		in.finish(nil)
	}
	if len(rest) > 0 {
		w.rest, w.sender = rest, in.sender
	}
}

// why names the deadline that passed.
func (w *wire) why(err error, idle bool) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case w.in.began() && w.slow > 0:
		return errStalled
	case idle:
		return errIdle
	}
	return err
}

// began says whether some of the message is there.
func (in *incoming) began() bool { return len(in.text) > 0 }

func (in *incoming) finish(err error) { in.done, in.err = true, err }

// ended is the end of the stream, which is fine between messages only.
func (in *incoming) ended() error {
	if in.began() {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// room returns where to look at what comes next: at first a borrowed buffer, later the free part of
// the message's own, which doubles.
func (in *incoming) room(borrowed []byte) []byte {
	if !in.began() {
		return borrowed
	}
	in.text = slices.Grow(in.text, len(borrowed))
	return in.text[len(in.text):cap(in.text)]
}

// from notes who wrote a part of the message.
func (in *incoming) from(sender Credentials) {
	if in.known && in.sender != sender {
		in.mixed = true
	}
	in.known, in.sender = true, sender
}

// write sends one frame, whose last byte is NUL, with descriptors. It waits while the peer does not
// read, for as long as patience says. An error that wraps errUnsaid left the wire as it was; after
// any other the wire is of no more use.
func (w *wire) write(frame []byte, fds []int) error {
	w.out = outgoing{rest: frame, oob: rights(fds), park: w.patience == 0}
	defer func() { w.out = outgoing{} }()
	for len(w.out.rest) > 0 {
		err := w.raw.Write(w.stepOut)
		if err == nil {
			err = w.out.err
		}
		if err != nil {
			return w.unwritten(err, len(w.out.rest) == len(frame))
		}
		if len(w.out.rest) > 0 { // the peer does not read
			w.out.park = true
			w.conn.SetWriteDeadline(time.Now().Add(w.patience))
			defer w.conn.SetWriteDeadline(time.Time{})
		}
	}
	return nil
}

// unwritten says why a frame was not written, and whether the next one still can be.
func (w *wire) unwritten(err error, nothing bool) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrUnread
	case gone(err):
		return fmt.Errorf("%w (%w)", ErrHungUp, err)
	case nothing:
		return fmt.Errorf("%w, %w", err, errUnsaid)
	}
	return err
}

// close ends the conversation. Unless sealed, the peer may have left descriptors unread.
func (w *wire) close() {
	empty := true
	if !w.sealed {
		_ = w.raw.Control(func(fd uintptr) { empty = endSocket(int(fd), w.unwanted) })
	}
	closing(empty, func() { w.conn.Close() })
}

// peeks are the buffers that messages are first looked at in. A session has none while it is idle.
var peeks = sync.Pool{New: func() any { return new(peek) }}

type peek struct {
	text    [4096]byte
	control [controlSize]byte
}
