package daemon

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/source"
)

// What a worker leaves to the next one, by the beginning of its key.
const (
	sourcePrefix     = "source/"     // of sources: see source.Keep
	connectionPrefix = "connection/" // a record, with the lifeline
	partPrefix       = "part/"       // the rest of a record that is longer than a slot
	waitPrefix       = "wait/"       // a request in a queue
	countPrefix      = "count/"      // what a vector had counted when its last holder left
)

// The counters of the whole memory.
const (
	globalSequence = iota // of the last event
	globalSerial          // of the newest connection
	globalTurn            // of the last waiter
	globalStart           // 1 after the first worker
)

// The counter of a slot that a source's number is.
const sourceCounter = 0

// keeping is the keeper's store as this package and its sources use it.
type keeping struct {
	store *keeper.Store
	log   *slog.Logger

	mu   sync.Mutex
	left map[string]map[string]*keeper.Entry // by former workers, and not taken over yet: by prefix and by what follows it
	sums map[irq.Vector]counts               // of the source that is being opened
}

func newKeeping(store *keeper.Store, left map[string]*keeper.Entry, log *slog.Logger) *keeping {
	k := &keeping{store: store, left: map[string]map[string]*keeper.Entry{}, log: log}
	sizes := map[string]int{}
	for key := range left {
		prefix, _ := splitKey(key)
		sizes[prefix]++
	}
	for prefix, n := range sizes {
		k.left[prefix] = make(map[string]*keeper.Entry, n)
	}
	for key, e := range left {
		prefix, rest := splitKey(key)
		k.left[prefix][rest] = e
	}
	return k
}

// splitKey tells the prefix under which somebody looks for a key from what follows it. A source has a prefix of its own.
func splitKey(key string) (prefix, rest string) {
	at := strings.IndexByte(key, '/') + 1
	if key[:at] == sourcePrefix {
		at += strings.IndexByte(key[at:], '/') + 1
	}
	return key[:at], key[at:]
}

func (k *keeping) Put(key string, value []byte, fds ...int) error {
	return k.store.Put(key, value, fds...)
}

// Drop forgets key. That it cannot be said to the keeper is no reason to stop: the keeper is gone then, and so are we.
func (k *keeping) Drop(key string) {
	if err := k.store.Drop(key); err != nil {
		k.log.Error("forget what was kept", "key", key, "err", err)
	}
}

// Released returns when the keeper has closed what was dropped.
func (k *keeping) Released() {
	if err := k.store.Sync(); err != nil {
		k.log.Error("wait for the keeper", "err", err)
	}
}

func (k *keeping) Counter(key string) *atomic.Uint64 { return k.store.Counter(key, sourceCounter) }

func (k *keeping) Tally(key string, n int) *atomic.Uint64 { return k.store.Counter(key, n) }

// All is part of source.Keep; sources see only what take gives.
func (k *keeping) All() map[string]source.Kept { return k.take("") }

// take hands out, once, what is left under keys that begin with prefix; the keys come back without it.
func (k *keeping) take(prefix string) map[string]source.Kept {
	entries := k.entries(prefix)
	found := make(map[string]source.Kept, len(entries))
	for key, e := range entries {
		found[key] = source.Kept{Value: e.Value, FDs: e.Descriptors, Count: e.Counters[sourceCounter]}
	}
	return found
}

// entries takes out what is left under a prefix, or everything for "".
func (k *keeping) entries(prefix string) map[string]*keeper.Entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if prefix != "" {
		found := k.left[prefix]
		delete(k.left, prefix)
		return found
	}
	all := map[string]*keeper.Entry{}
	for prefix, some := range k.left {
		for rest, e := range some {
			all[prefix+rest] = e
		}
	}
	clear(k.left)
	return all
}

// settle lets go of what nobody has taken over, and returns the keys.
func (k *keeping) settle() (keys []string) {
	for key, e := range k.entries("") {
		for _, fd := range e.Descriptors {
			kernel.Close(fd)
		}
		k.Drop(key)
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (k *keeping) global(i int) *atomic.Uint64 { return k.store.Memory().Global(i) }

// atLeast raises a counter of the whole memory to n: of two that raise it at once neither takes the other back.
func (k *keeping) atLeast(i int, n uint64) {
	for c := k.global(i); ; {
		now := c.Load()
		if now >= n || c.CompareAndSwap(now, n) {
			return
		}
	}
}
