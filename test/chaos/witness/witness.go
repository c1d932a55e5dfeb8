// Package witness finds two holders of one vector without asking ivtd.
package witness

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/kernel"
)

// A Witness is memory that all processes share and ivtd knows nothing of. Who is granted a vector puts itself there in the place of
// whoever stood there, and takes itself out before it lets go. Who is not there any more by then is either over, as its lifeline
// says, or there are two holders.
type Witness struct {
	b    []byte
	mine uint64 // the last claim
}

// Words of 8 bytes. Those below Free are the witness's, those from Owner on the owners of vectors; the others are the program's.
const (
	Double = 0 // how often there were two holders
	Free   = 1
	Owner  = 256
	size   = 4096
)

// certain is the bit of a claim whose maker has made sure that it lives: 200 ms later its lifeline had not hung up.
const certain = 1 << 63

// Open maps the file at path, and makes it if it is not there.
func Open(path string) (*Witness, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	b, err := kernel.MapShared(int(f.Fd()), size)
	if err != nil {
		return nil, err
	}
	return &Witness{b: b}, nil
}

// Word is one of the memory, from 0 to 511.
func (w *Witness) Word(i int) *atomic.Uint64 { return kernel.Word64(w.b, 8*i) }

// Own says that this process has been granted v by k. The claim it returns is 0 if k turned out to be over. One of the two
// that meet here is over if all is well: who comes later makes sure first that it is not itself.
func (w *Witness) Own(v int, k *ivt.Connection) (claim uint64) {
	w.mine++
	claim = uint64(os.Getpid())<<32 | w.mine&(1<<30-1)
	other := w.Word(Owner + v).Swap(claim)
	if other == 0 || !Alive(int(other&^certain>>32)) {
		return claim
	}
	if over(k, 200*time.Millisecond) {
		w.Word(Owner+v).CompareAndSwap(claim, other)
		return 0
	}
	w.Word(Owner+v).CompareAndSwap(claim, claim|certain)
	return claim | certain
}

// Disown goes before every way of letting go.
func (w *Witness) Disown(v int, claim uint64, k *ivt.Connection) {
	word := w.Word(Owner + v)
	if claim == 0 || word.CompareAndSwap(claim, 0) {
		return
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if over(k, 10*time.Millisecond) || word.CompareAndSwap(claim, 0) {
			return
		}
	}
	if other := word.Load(); other&certain != 0 || other == 0 {
		w.Word(Double).Add(1)
		fmt.Fprintf(os.Stderr, "DOUBLE HOLDER of %d: %d, and after it %d, with the first one's lifeline up\n", v, os.Getpid(), other&^certain>>32)
	}
}

// over reports whether a connection ends within d.
func over(k *ivt.Connection, d time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	select {
	case <-k.Done():
		return true
	case <-ctx.Done():
		return false
	}
}

// exiting is PF_EXITING (include/linux/sched.h), in the flags of proc_pid_stat(5), field 9.
const exiting = 0x4

// Alive reports whether a process runs; one that is dead and not yet waited for does not, and neither does one that is on
// its way out: a dying process closes its files first, by which its vectors are free (rule 6), and is a zombie only later.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest) // from field 3 on
	if len(fields) < 7 || fields[0] == "Z" || fields[0] == "X" {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err != nil || flags&exiting == 0
}
