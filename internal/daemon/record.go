package daemon

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/ivtd/ivt/irq"
)

// Records of connections are read while everybody waits, ten thousand at once, so they are not JSON. A record is a byte that says
// what it is, and then one field after the other: numbers as varints, strings with their length, and one that was there before as the
// number of that one. The first byte of the records that ivtd kept before is that of a JSON object; they are understood.
const (
	recordWhole = 1   // the fields of a keptLink
	recordParts = 2   // where they are: the version and the number of parts
	recordJSON  = '{' // a keptLink, or a head
)

var errRecord = errors.New("it is of another version, or cut off")

// pack returns the record of a connection.
func (r *keptLink) pack() []byte {
	f := fields{b: append(make([]byte, 0, 256), recordWhole)}
	f.link(r)
	return f.b
}

// unpack reads what pack wrote. Strings that are in seen are not made again.
func (r *keptLink) unpack(b []byte, seen map[string]string) error {
	switch {
	case len(b) == 0:
		return errRecord
	case b[0] == recordJSON:
		return json.Unmarshal(b, r)
	case b[0] != recordWhole:
		return errRecord
	}
	f := fields{b: b[1:], reading: true, seen: seen}
	return f.done(func() { f.link(r) })
}

// done reads what is to be all that there is.
func (f *fields) done(read func()) error {
	if read(); f.bad || len(f.b) > 0 {
		return errRecord
	}
	return nil
}

// fields are written to, or read from, what is in b: so both are one list, and cannot differ.
type fields struct {
	b       []byte
	reading bool
	bad     bool              // b is not what was written; all else is zero then
	texts   [mostTexts]string // the first ones
	known   int               // how many of them there are
	seen    map[string]string
}

func (f *fields) link(r *keptLink) {
	f.name(&r.Connection)
	number(f, &r.Generation)
	f.holder(&r.Holder)
	f.flag(&r.Shared)
	text(f, &r.Access)
	f.flag(&r.Consent)
	number(f, &r.Grace)
	number(f, &r.Successor)
	f.moment(&r.GraceEnds)
	list(f, &r.Vectors, func(v *irq.VectorRecord) {
		f.vector(&v.Vector)
		text(f, &v.Account)
		f.flag(&v.Masked)
		number(f, &v.Sequence)
		number(f, &v.Step)
	})
	s := &r.Subject
	number(f, &s.UID)
	number(f, &s.GID)
	list(f, &s.Groups, func(n *int) { number(f, n) })
	text(f, &s.Unit)
	text(f, &s.Cgroup)
	f.name(&r.Token)
	text(f, &r.Trigger)
	if pointer(f, &r.Earlier) {
		f.name(&r.Earlier.Token)
		f.holder(&r.Earlier.Holder)
		f.moment(&r.Earlier.GraceEnds)
	}
}

func (f *fields) vector(v *irq.Vector) {
	text(f, &v.Source)
	text(f, &v.Type)
	number(f, &v.Index)
}

func (f *fields) holder(h *irq.Holder) {
	text(f, &h.Kind)
	number(f, &h.PID)
	number(f, &h.StartTime)
	if pointer(f, &h.UID) {
		number(f, h.UID)
	}
	if pointer(f, &h.GID) {
		number(f, h.GID)
	}
	text(f, &h.Command)
	text(f, &h.Unit)
	text(f, &h.Cgroup)
	text(f, &h.Label)
	text(f, &h.Driver)
	text(f, &h.Device)
	number(f, &h.IRQ)
	f.moment(&h.Since)
	text(f, &h.Connection)
	f.flag(&h.Shared)
	text(f, &h.Access)
}

func (f *fields) write(n int64) { f.b = binary.AppendVarint(f.b, n) }

func (f *fields) read() int64 {
	n, size := binary.Varint(f.b)
	if f.bad = f.bad || size <= 0; f.bad {
		return 0
	}
	f.b = f.b[size:]
	return n
}

// number, like all that follow, does not touch what it writes: others read it meanwhile.
func number[T ~int | ~int64 | ~uint64 | ~uint8](f *fields, n *T) {
	if !f.reading {
		f.write(int64(*n))
		return
	}
	wide := f.read()
	if *n = T(wide); int64(*n) != wide {
		f.bad = true
	}
}

func (f *fields) flag(b *bool) {
	switch {
	case f.reading:
		*b = f.read() != 0
	case *b:
		f.write(1)
	default:
		f.write(0)
	}
}

// moment is without its time zone.
func (f *fields) moment(t *time.Time) {
	var n int64
	if !t.IsZero() {
		n = t.UnixNano()
	}
	if number(f, &n); f.reading && n != 0 {
		*t = time.Unix(0, n)
	}
}

func pointer[T any](f *fields, p **T) bool {
	there := *p != nil
	if f.flag(&there); there && f.reading {
		*p = new(T)
	}
	return there
}

func list[T any](f *fields, all *[]T, each func(*T)) {
	n := len(*all)
	if number(f, &n); f.reading {
		if f.bad = f.bad || n < 0 || n > len(f.b); f.bad || n == 0 {
			return
		}
		*all = make([]T, n)
	}
	for i := range *all {
		each(&(*all)[i])
	}
}

// name is text that no other record has.
func (f *fields) name(s *string) {
	seen := f.seen
	f.seen = nil
	text(f, s)
	f.seen = seen
}

// mostTexts is how many strings of a record are looked through for one that is there already.
const mostTexts = 16

// text is the number of a string that was there before, or minus its length and the string itself.
func text[T ~string](f *fields, s *T) {
	if !f.reading {
		if n := slices.Index(f.texts[:f.known], string(*s)); n >= 0 {
			f.write(int64(n + 1))
			return
		}
		f.write(-int64(len(*s)))
		f.b = append(f.b, *s...)
		f.remember(string(*s))
		return
	}
	n := f.read()
	switch {
	case n > 0 && n <= int64(f.known):
		*s = T(f.texts[n-1])
	case n > 0 || n < -int64(len(f.b)):
		f.bad = true
	case n < 0:
		t := f.one(f.b[:-n])
		*s, f.b = T(t), f.b[-n:]
		f.remember(t)
	}
}

func (f *fields) remember(s string) {
	if s != "" && f.known < mostTexts {
		f.texts[f.known] = s
		f.known++
	}
}

// one returns the string of which there is one for all records, if it is of those that many have.
func (f *fields) one(b []byte) string {
	s, ok := f.seen[string(b)]
	if !ok {
		s = string(b)
		if f.seen != nil && len(f.seen) < mostSeen {
			f.seen[s] = s
		}
	}
	return s
}

// mostSeen bounds what a reader remembers.
const mostSeen = 4096
