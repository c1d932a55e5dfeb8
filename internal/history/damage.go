package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
)

// A value is a mark, the length and the checksum of an event, and the event as JSON: so it is found in a damaged file, too.
const (
	mark       = "ivtE\x01"
	headerSize = len(mark) + 8
	mostValue  = 1 << 20
)

func encode(e irq.Event) ([]byte, error) {
	text, err := json.Marshal(api.FromEvent(e))
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, headerSize+len(text)), mark...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(text))
	return append(b, text...), nil
}

// whole returns the value at the beginning of b, nil if there is none or it is damaged.
func whole(b []byte) []byte {
	if len(b) < headerSize || string(b[:len(mark)]) != mark {
		return nil
	}
	n := int(binary.LittleEndian.Uint32(b[len(mark):]))
	if n > mostValue || len(b)-headerSize < n || crc32.ChecksumIEEE(b[headerSize:headerSize+n]) != binary.LittleEndian.Uint32(b[len(mark)+4:]) {
		return nil
	}
	return b[:headerSize+n]
}

var errChecksum = errors.New("an event does not have its checksum")

func decode(b []byte) (irq.Event, error) {
	v := whole(b)
	if v == nil {
		return irq.Event{}, errChecksum
	}
	var e api.Event
	if err := json.Unmarshal(v[headerSize:], &e); err != nil {
		return irq.Event{}, err
	}
	return e.Event(), nil
}

// A damageError says that a file is not what a store wrote.
type damageError struct{ err error }

func (d *damageError) Error() string { return "the file is damaged: " + d.err.Error() }
func (d *damageError) Unwrap() error { return d.err }

// guarded makes errors of the panics and faults that damaged pages, and a file that was truncated under us, cause.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &damageError{fmt.Errorf("%v", p)}
		}
	}()
	return f()
}

// checked opens a file and holds every event of it against its checksum.
func checked(path string, o *bolt.Options) (db *bolt.DB, err error) {
	err = guarded(func() (err error) {
		db, err = bolt.Open(path, 0o640, o)
		return err
	})
	for _, damage := range []error{berrors.ErrInvalid, berrors.ErrChecksum, berrors.ErrVersionMismatch} {
		if errors.Is(err, damage) {
			return nil, &damageError{err}
		}
	}
	if err != nil {
		return nil, err
	}
	sound := true
	err = view(db, 0, func(_ uint64, value []byte) bool {
		sound = whole(value) != nil
		return sound
	})
	if err == nil && !sound {
		err = &damageError{errChecksum}
	}
	if err != nil {
		return nil, errors.Join(err, guarded(db.Close))
	}
	return db, nil
}

// view reads the events above after.
func view(db *bolt.DB, after uint64, each func(sequence uint64, value []byte) bool) error {
	return guarded(func() error {
		return db.View(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketName)
			if b == nil {
				return nil
			}
			c := b.Cursor()
			for k, v := c.Seek(key(after + 1)); k != nil; k, v = c.Next() {
				if len(k) != 8 {
					return &damageError{fmt.Errorf("a key of %d bytes", len(k))}
				}
				if !each(binary.BigEndian.Uint64(k), v) {
					return nil
				}
			}
			return nil
		})
	})
}

// salvage finds the events in a file without the database: every value that has its checksum.
func salvage(path string) (found map[uint64][]byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found = map[uint64][]byte{}
	for {
		at := bytes.Index(b, []byte(mark))
		if at < 0 {
			return found, nil
		}
		b = b[at:]
		v := whole(b)
		if v == nil {
			b = b[1:]
			continue
		}
		if e, err := decode(v); err == nil {
			found[e.Sequence] = v
		}
		b = b[len(v):]
	}
}

// setAside renames a damaged file and puts what is whole of it into a new one.
func (s *Store) setAside(why error) error {
	found, err := salvage(s.path)
	if err != nil {
		return err
	}
	aside := fmt.Sprintf("%s.damaged-%s", s.path, time.Now().UTC().Format("20060102-150405.000"))
	if err := os.Rename(s.path, aside); err != nil {
		return err
	}
	numbers := slices.Sorted(maps.Keys(found))
	var missing uint64
	if n := len(numbers); n > 0 {
		missing = numbers[n-1] - numbers[0] + 1 - uint64(n)
	}
	s.log.Error("history was damaged", "err", why, "put aside as", aside, "recovered", len(numbers), "missing between the first and the last of them", missing)
	if len(numbers) == 0 {
		return nil
	}
	db, err := bolt.Open(s.path, 0o640, &bolt.Options{Timeout: lockTime})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketName)
		for _, n := range numbers {
			if err == nil {
				err = b.Put(key(n), found[n])
			}
		}
		return err
	})
	return errors.Join(err, db.Close())
}

// ReadFile reads a store's file while no ivtd has it open, and changes nothing. Of a damaged one it reads what is whole, and
// damage says that. Errors: os.ErrNotExist, os.ErrPermission, and a file that somebody is writing to.
func ReadFile(path string, yield func(irq.Event) bool) (damage, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	db, err := checked(path, &bolt.Options{Timeout: lockTime, ReadOnly: true})
	if d := (*damageError)(nil); errors.As(err, &d) {
		found, err := salvage(path)
		for _, n := range slices.Sorted(maps.Keys(found)) {
			if e, bad := decode(found[n]); bad == nil && !yield(e) {
				break
			}
		}
		return d, err
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	err = view(db, 0, func(_ uint64, value []byte) bool {
		e, err := decode(value)
		return err != nil || yield(e)
	})
	return nil, errors.Join(err, db.Close())
}
