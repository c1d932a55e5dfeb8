package varlink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Stream is a call that has several replies. It has its connection to itself until its last reply
// was read or it is closed. Not for concurrent use.
type Stream struct {
	conn   *Conn
	method string
	end    func(error) error // nil: ended
	err    error             // what Next says from then on
}

// More calls a method that answers with any number of replies. The context is that of the whole
// stream: when it ends, the connection is closed. The caller reads to the end, or closes the stream.
func (c *Conn) More(ctx context.Context, method string, in any) (*Stream, error) {
	end, err := c.begin(ctx, method)
	if err != nil {
		return nil, err
	}
	if err := c.send(method, in, true, false, nil); err != nil {
		return nil, end(err)
	}
	return &Stream{conn: c, method: method, end: end}, nil
}

// Next waits for a reply and reads it into out, which may be nil. After the last one it returns
// io.EOF. Errors are those of Conn.Call; an *Error is the last reply.
func (s *Stream) Next(out any) error {
	if s.end == nil {
		return s.err
	}
	r, descriptors, err := s.conn.receive(s.method)
	if descriptors.Len() > 0 {
		descriptors.Close() // descriptors come with plain calls only
	}
	switch {
	case err != nil:
		return s.finish(err, nil)
	case r.failure != "":
		return s.finish(nil, r.decode(s.method, nil))
	case !r.continues:
		s.finish(nil, io.EOF)
	}
	return r.decode(s.method, out)
}

// finish gives the connection back, after an error of the connection or what the service said, and
// returns what Next says now; afterwards it is the same, or io.EOF after the last reply.
func (s *Stream) finish(broken, said error) error {
	err := s.end(broken)
	s.end = nil
	if err == nil {
		err = said
	}
	s.err = err
	return err
}

// Close ends the stream. If its last reply was not read yet, that closes the connection: the protocol
// has no other way to end a call.
func (s *Stream) Close() error {
	if s.end == nil {
		return nil
	}
	s.finish(nil, fmt.Errorf("varlink: %s: the stream was closed", s.method))
	return s.conn.Close()
}

// Replies are the replies of a stream as values, up to and including its first error. A loop that is
// left early closes the stream.
func Replies[T any](s *Stream) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer s.Close()
		for {
			var reply T
			err := s.Next(&reply)
			if errors.Is(err, io.EOF) && s.err == io.EOF {
				return
			}
			if !yield(reply, err) || err != nil {
				return
			}
		}
	}
}
