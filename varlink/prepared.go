package varlink

import (
	"encoding/json"
	"fmt"
)

// A Prepared is one of several replies (see Call.Continue), encoded once for as many callers as it is for. It does
// not change, and may be used by several goroutines.
type Prepared struct {
	frame      []byte          // with its NUL
	parameters json.RawMessage // as they stand in it
}

// Prepare encodes a reply. Errors: what json.Marshal says, and ErrMessageTooLong.
func Prepare(parameters any) (Prepared, error) {
	f := newFrame()
	defer f.free()
	text, err := f.encodeResponse("", parameters, true)
	if err != nil {
		return Prepared{}, fmt.Errorf("varlink: reply: %w", err)
	}
	if f.Len() > maxReply {
		return Prepared{}, fmt.Errorf("%w: reply has %d bytes", ErrMessageTooLong, f.Len())
	}
	p := Prepared{frame: append([]byte(nil), f.Bytes()...)}
	const before = len(`{"parameters":`)
	p.parameters = p.frame[before : before+len(text)]
	return p, nil
}

// Len is how many bytes it has on the wire.
func (p Prepared) Len() int { return len(p.frame) }

// ContinueWith sends replies as Continue does each of them, but all at once: as many at a system call as the socket has room for.
// Errors are Continue's. After an error some of them may have been sent.
func (c *Call) ContinueWith(replies ...Prepared) error {
	if err := c.Streaming(); err != nil {
		return err
	}
	if c.answered {
		return ErrAnswered
	}
	f := newFrame()
	defer f.free()
	for _, p := range replies {
		if err := c.checked("", p.parameters); err != nil {
			return fmt.Errorf("varlink: reply of %s: %w", c.Method, err)
		}
		f.Write(p.frame)
	}
	return c.sent(c.session.wire.write(f.Bytes(), nil), true)
}
