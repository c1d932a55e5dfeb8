package main

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/ivtd/ivt/internal/kernel"
)

// A journal is what one client did: entries in a file that client and supervisor map. What was written is there when the
// client is killed in the middle of a call, which has a beginning then and no end.
type journal struct {
	b    []byte
	used int
}

const (
	entrySize = 64
	// A client with a full journal ends, another one follows.
	journalEntries = 4096
	// What one call adds at most; a client leaves room for letting go of all.
	journalReserve = 64
)

// Words of an entry.
const (
	wordCall = iota // when the call began, CLOCK_MONOTONIC in ns; 0: no entry
	wordReturn
	wordKind
	wordOutcome
	wordRound
	wordVector
	wordGrant  // of the connect that made the connection
	wordHolder // pid, as a look found it
)

type kind uint64

const (
	connects kind = iota
	disconnects
	looks
)

type outcome uint64

const (
	open    outcome = iota // it did not return
	done                   // granted, disconnected
	refused                // somebody else has it
	free                   // nobody has it
	held                   // wordHolder has it
	nothing                // it changed nothing, and tells nothing
	passing                // it failed, and may have held the vector until it returned
	unclear                // it failed, and may hold the vector
	lost                   // the connection was over already
)

// anyVector is the vector of a call that did not name one, and did not return.
const anyVector = 1 << 32

// An entry is one call about one vector.
type entry struct {
	kind                 kind
	outcome              outcome
	call, end            int64
	round, vector, grant uint64
	holder               int
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(entrySize * journalEntries); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := kernel.MapShared(int(f.Fd()), entrySize*journalEntries)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &journal{b: b}, nil
}

func (j *journal) close() error { return kernel.Unmap(j.b) }

func (j *journal) word(i, w int) *atomic.Uint64 { return kernel.Word64(j.b, i*entrySize+8*w) }

func (j *journal) full() bool { return j.used > journalEntries-journalReserve }

// begin writes that a call begins now, and returns the entry's number.
func (j *journal) begin(k kind, round, vector, grant uint64) int {
	i := j.used
	j.used++
	j.word(i, wordKind).Store(uint64(k))
	j.word(i, wordRound).Store(round)
	j.word(i, wordVector).Store(vector)
	j.word(i, wordGrant).Store(grant)
	j.word(i, wordCall).Store(uint64(kernel.Monotonic()))
	return i
}

// end writes what came of a call.
func (j *journal) end(i int, o outcome, now int64) {
	j.word(i, wordOutcome).Store(uint64(o))
	j.word(i, wordReturn).Store(uint64(now))
}

// read returns entry i; ok is false if there is none yet.
func (j *journal) read(i int) (e entry, ok bool) {
	if i >= journalEntries {
		return e, false
	}
	if e.call = int64(j.word(i, wordCall).Load()); e.call == 0 {
		return e, false
	}
	if e.end = int64(j.word(i, wordReturn).Load()); e.end != 0 {
		e.outcome = outcome(j.word(i, wordOutcome).Load())
	}
	e.kind, e.round, e.vector = kind(j.word(i, wordKind).Load()), j.word(i, wordRound).Load(), j.word(i, wordVector).Load()
	e.grant, e.holder = j.word(i, wordGrant).Load(), int(j.word(i, wordHolder).Load())
	return e, true
}
