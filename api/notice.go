package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ivtd/ivt/irq"
)

// The kinds of a Notice.
const (
	NoticeEnding = 1 // the connection will end at the deadline
	NoticeOver   = 2 // the connection is over
)

// MaxNotice is the size of the longest notice; the detail is cut to fit.
const MaxNotice = 512

const noticeHeader = 24

// A Notice is a record on the lifeline.
type Notice struct {
	Kind       uint32
	Code       irq.Code
	Generation uint64
	Deadline   int64 // CLOCK_MONOTONIC nanoseconds, 0: now
	Reason     irq.Reason
	Detail     string
}

// ErrMalformedNotice: the bytes are not a notice.
var ErrMalformedNotice = errors.New("malformed notice")

// Append appends the record to b.
func (n Notice) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, n.Kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(n.Code))
	b = binary.LittleEndian.AppendUint64(b, n.Generation)
	b = binary.LittleEndian.AppendUint64(b, uint64(n.Deadline))
	b = append(append(b, n.Reason...), 0)
	room := max(0, MaxNotice-noticeHeader-len(n.Reason)-1)
	return append(b, strings.ToValidUTF8(n.Detail[:min(len(n.Detail), room)], "")...)
}

// DecodeNotice reads one record. An unknown kind is kept, for a client to ignore.
func DecodeNotice(b []byte) (Notice, error) {
	if len(b) < noticeHeader+1 || len(b) > MaxNotice {
		return Notice{}, fmt.Errorf("%w: %d bytes", ErrMalformedNotice, len(b))
	}
	reason, detail, ok := bytes.Cut(b[noticeHeader:], []byte{0})
	if !ok {
		return Notice{}, fmt.Errorf("%w: no zero byte behind the reason", ErrMalformedNotice)
	}
	le := binary.LittleEndian
	return Notice{
		Kind: le.Uint32(b), Code: irq.Code(le.Uint32(b[4:])), Generation: le.Uint64(b[8:]), Deadline: int64(le.Uint64(b[16:])),
		Reason: irq.Reason(reason), Detail: string(detail),
	}, nil
}

// FromNotice makes the record of what the registry tells; now are both clocks at the same moment.
func FromNotice(n irq.Notice, wall time.Time, monotonic int64) Notice {
	r := Notice{Kind: NoticeOver, Code: irq.ErrNotConnected, Generation: n.Generation, Reason: n.Reason, Detail: n.Detail}
	if !n.Deadline.IsZero() {
		r.Kind, r.Deadline = NoticeEnding, monotonic+int64(n.Deadline.Sub(wall))
	}
	if n.Err != nil {
		r.Code = n.Err.Code
	}
	return r
}
