package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ivtd/ivt/irq"
)

// Limits bound a store. The zero value of each gives the default.
type Limits struct {
	Events int           // default 100,000
	Bytes  int64         // of all events; default 64 MiB
	Age    time.Duration // default 90 days
	Queue  int           // events that wait for the disk; default 4096
}

func (l Limits) filled() Limits {
	if l.Events == 0 {
		l.Events = 100_000
	}
	if l.Bytes == 0 {
		l.Bytes = 64 << 20
	}
	if l.Age == 0 {
		l.Age = 90 * 24 * time.Hour
	}
	if l.Queue == 0 {
		l.Queue = 4096
	}
	return l
}

// How long the store waits: between two transactions, and before it tries a disk again that failed.
const (
	gather    = 50 * time.Millisecond
	lastPause = 30 * time.Second
	lockTime  = time.Second
)

var bucketName = []byte("events")

// A Store is an open file of events. Its methods may be called from any goroutine.
type Store struct {
	path   string
	limits Limits
	log    *slog.Logger
	wake   chan struct{}
	ending chan struct{}
	opened chan struct{} // closed when the file has been opened, or could not be
	loop   sync.WaitGroup
	first  time.Duration // pause after a failure

	mu      sync.Mutex
	db      *bolt.DB // nil while it cannot be opened
	queue   []item
	dropped uint64 // that fell out of the queue
	last    uint64
	failing bool
	count   int
	bytes   int64
}

// An item is an event on its way to the disk.
type item struct {
	sequence uint64
	value    []byte
}

// Open opens the file, makes it and its folder, or puts a damaged one aside. It never fails: a store without a file is a
// ring that goes on trying, and the log says why. All of the file is read for that, which may take a second: Open does not
// wait for it, but Read and Last do.
func Open(path string, limits Limits, log *slog.Logger) *Store {
	s := &Store{path: path, limits: limits.filled(), log: log, wake: make(chan struct{}, 1), ending: make(chan struct{}), opened: make(chan struct{}),
		first: time.Second}
	s.loop.Go(func() {
		if err := s.open(); err != nil {
			s.degraded(err)
		}
		close(s.opened)
		s.run()
	})
	return s
}

// Last is the highest number of an event in the file, for a registry that goes on after it; 0 if there is none.
func (s *Store) Last() uint64 {
	<-s.opened
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Degraded reports whether the file cannot be written now.
func (s *Store) Degraded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failing
}

// Add queues an event. It does not wait for the disk. A full queue loses its oldest.
func (s *Store) Add(e irq.Event) error {
	value, err := encode(e)
	if err != nil {
		return fmt.Errorf("event %d: %w", e.Sequence, err)
	}
	s.mu.Lock()
	if len(s.queue) >= s.limits.Queue {
		s.queue = s.queue[1:]
		s.dropped++
	}
	s.queue = append(s.queue, item{e.Sequence, value})
	s.last = max(s.last, e.Sequence)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// run writes what was queued until the end.
func (s *Store) run() {
	pause := gather
	for {
		select {
		case <-s.wake:
		case <-s.ending:
			s.flush()
			return
		}
		for err := s.flush(); err != nil; err = s.flush() {
			if pause = max(s.first, min(2*pause, lastPause)); !s.sleep(pause) {
				break
			}
		}
		pause = gather
		if !s.sleep(gather) {
			s.flush()
			return
		}
	}
}

func (s *Store) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ending:
		return false
	}
}

// flush writes the queue in one transaction.
func (s *Store) flush() (err error) {
	if s.db == nil { // written on this goroutine only
		err = s.open()
	}
	s.mu.Lock()
	batch, db := s.queue, s.db
	s.mu.Unlock()
	if err == nil && len(batch) > 0 {
		err = s.write(db, batch)
	}
	if err != nil {
		s.degraded(err)
		return err
	}
	s.mu.Lock()
	// What was added meanwhile stays; what fell out meanwhile was written all the same.
	written := batch
	for len(written) > 0 && len(s.queue) > 0 && s.queue[0].sequence <= written[len(written)-1].sequence {
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	recovered, dropped := s.failing, s.dropped
	s.failing, s.dropped = false, 0
	s.mu.Unlock()
	if recovered {
		s.log.Info("history is written again", "file", s.path, "lost", dropped)
	}
	return nil
}

func (s *Store) degraded(err error) {
	s.mu.Lock()
	before := s.failing
	s.failing = true
	s.mu.Unlock()
	if !before {
		s.log.Warn("history cannot be written; the last events are kept in memory until it can", "file", s.path, "err", err)
	}
}

// write puts a batch into the file and takes out what is beyond the bounds.
func (s *Store) write(db *bolt.DB, batch []item) error {
	count, bytes := s.count, s.bytes
	err := guarded(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucketName)
			if err != nil {
				return err
			}
			for _, i := range batch {
				if old := b.Get(key(i.sequence)); old != nil {
					count, bytes = count-1, bytes-int64(len(old))
				}
				if err := b.Put(key(i.sequence), i.value); err != nil {
					return err
				}
				count, bytes = count+1, bytes+int64(len(i.value))
			}
			return s.prune(b, &count, &bytes)
		})
	})
	if damage := (*damageError)(nil); errors.As(err, &damage) {
		s.mu.Lock()
		s.db = nil // it cannot be closed safely; the next open puts the file aside
		s.mu.Unlock()
		return errors.Join(err, s.setAside(err))
	}
	if err == nil {
		s.count, s.bytes = count, bytes
	}
	return err
}

// prune deletes the oldest. The age is that of the newest event: a clock that was set back makes nothing younger or older.
func (s *Store) prune(b *bolt.Bucket, count *int, bytes *int64) error {
	c := b.Cursor()
	_, newest := c.Last()
	latest, err := decode(newest)
	if err != nil {
		return &damageError{err}
	}
	for k, v := c.First(); k != nil; k, v = c.First() {
		over := *count > s.limits.Events || *bytes > s.limits.Bytes
		if !over {
			if e, err := decode(v); err == nil && latest.Time.Sub(e.Time) <= s.limits.Age {
				return nil
			}
		}
		*count, *bytes = *count-1, *bytes-int64(len(v))
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// Read calls yield for the events with a number above after, oldest first, until it returns false: those of the file, then
// those that wait for the disk.
func (s *Store) Read(after uint64, yield func(irq.Event) bool) error {
	<-s.opened
	s.mu.Lock()
	db, queue := s.db, s.queue
	s.mu.Unlock()
	going := true
	each := func(sequence uint64, value []byte) bool {
		if sequence <= after {
			return true
		}
		e, err := decode(value)
		if err != nil {
			return true // if it is damage the next check of the file finds it
		}
		after, going = sequence, yield(e)
		return going
	}
	if db != nil {
		if err := view(db, after, each); err != nil {
			return fmt.Errorf("read %s: %w", s.path, err)
		}
	}
	for _, i := range queue {
		if going {
			each(i.sequence, i.value)
		}
	}
	return nil
}

// Close writes what is left and closes the file.
func (s *Store) Close() error {
	close(s.ending)
	s.loop.Wait()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// open opens the file and checks all of it. It is called on the store's goroutine, so that nobody waits for the disk.
func (s *Store) open() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o750); err != nil {
		return err
	}
	db, err := checked(s.path, &bolt.Options{Timeout: lockTime})
	if damage := (*damageError)(nil); errors.As(err, &damage) {
		if err := s.setAside(err); err != nil {
			return err
		}
		db, err = checked(s.path, &bolt.Options{Timeout: lockTime})
	}
	if err != nil {
		return err
	}
	s.count, s.bytes = 0, 0
	var last uint64
	err = view(db, 0, func(sequence uint64, value []byte) bool {
		s.count, s.bytes, last = s.count+1, s.bytes+int64(len(value)), max(last, sequence)
		return true
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.last = db, max(s.last, last)
	return err
}

func key(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }
