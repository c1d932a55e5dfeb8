package daemon

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

// A keptLink is what the next worker must know of a connection.
type keptLink struct {
	irq.Record
	Subject policy.Subject `json:"subject"`
	Token   string         `json:"token,omitempty"`
	Earlier *earlier       `json:"earlier,omitempty"` // until the answer to a resumption was written
	Trigger irq.Trigger    `json:"trigger,omitempty"`
	version uint64         // of its parts
}

// A head is the first slot of a record: all of it, or where the rest is. Parts have names of their own version, so that a
// record is replaced in one step, by its head. Its JSON is that of former versions.
type head struct {
	Whole   json.RawMessage `json:"whole,omitempty"`
	Version uint64          `json:"version,omitempty"`
	Parts   int             `json:"parts,omitempty"`
}

func readHead(value []byte) (h head, err error) {
	switch {
	case len(value) == 0:
		return h, errRecord
	case value[0] == recordJSON:
		err = json.Unmarshal(value, &h)
		return h, err
	case value[0] != recordParts:
		return head{Whole: value}, nil
	}
	f := fields{b: value[1:], reading: true}
	number(&f, &h.Version)
	if number(&f, &h.Parts); f.bad || h.Parts < 1 {
		return h, errRecord
	}
	return h, nil
}

func (h head) pack() []byte {
	f := fields{b: []byte{recordParts}}
	number(&f, &h.Version)
	number(&f, &h.Parts)
	return f.b
}

// remember keeps the connection of a link as it is now (rule 14). Once the connection is over it does nothing.
func (l *link) remember() error {
	k := l.server.keeping
	if k == nil {
		return nil
	}
	l.kept.Lock()
	defer l.kept.Unlock()
	l.mu.Lock()
	c, over := l.connection, l.over
	lifeline, err := -1, error(nil)
	if l.lifeline >= 0 { // a copy: ours may be closed, and its number another file's, before it is kept
		lifeline, err = kernel.Duplicate(l.lifeline)
	}
	r := keptLink{Subject: l.subject, Token: l.token, Earlier: l.earlier, Trigger: l.asked.trigger}
	l.mu.Unlock()
	if lifeline >= 0 {
		defer kernel.Close(lifeline)
	}
	if err != nil || over || c == nil || l.forgotten {
		return err
	}
	r.Record = c.Record()
	for i := range r.Vectors {
		r.Vectors[i].Sequence = 0 // streams know where they are, and nobody else counts across a restart
	}
	k.atLeast(globalSerial, l.server.registry.Stats().Serial)
	var fds []int
	if lifeline >= 0 {
		fds = []int{lifeline}
	}
	return l.write(c.ID(), r.pack(), fds)
}

func (l *link) write(id string, value []byte, fds []int) error {
	k, former := l.server.keeping, l.parts
	l.parts = nil
	if len(value) > keeper.MaxValue {
		var err error
		if value, err = l.divide(id, value); err != nil {
			return err
		}
	}
	if err := k.Put(connectionPrefix+id, value, fds...); err != nil {
		return err
	}
	for _, key := range former {
		k.Drop(key)
	}
	return nil
}

// divide keeps a record that is longer than a slot in parts, and returns its head.
func (l *link) divide(id string, record []byte) ([]byte, error) {
	l.version++
	h := head{Version: l.version}
	for part := range slices.Chunk(record, keeper.MaxValue) {
		key := partKey(id, l.version, h.Parts)
		if err := l.server.keeping.Put(key, part); err != nil {
			return nil, err
		}
		l.parts = append(l.parts, key)
		h.Parts++
	}
	return h.pack(), nil
}

// forgetKept is the opposite of remember, for ever.
func (l *link) forgetKept(id string) {
	k := l.server.keeping
	if k == nil {
		return
	}
	l.kept.Lock()
	defer l.kept.Unlock()
	l.forgotten = true
	k.Drop(connectionPrefix + id)
	for _, key := range l.parts {
		k.Drop(key)
	}
}

func partKey(id string, version uint64, n int) string {
	return partPrefix + id + "/" + strconv.FormatUint(version, 10) + "/" + strconv.Itoa(n)
}

// note keeps what changed without being able to refuse it any more; the log hears of a failure.
func (l *link) note() {
	if err := l.remember(); err != nil {
		l.server.log.Error("a change would not survive a restart", "err", err)
	}
}
