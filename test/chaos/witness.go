package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/ivtd/ivt/internal/kernel"
)

// The witness is memory that all processes share and ivtd knows nothing of. Who is granted a vector puts itself there by
// compare-and-swap, and takes itself out before it lets go: a failure is a double holder.
type witness struct{ b []byte }

// What stands where, in words of 8 bytes.
const (
	atEpoch   = 0 // counts the keepers
	atOps     = 1 // operations of all clients
	atDouble  = 2 // double holders
	atFailed  = 3 // operations that ended as none may
	atRung    = 16
	atSeen    = 32 // what a sentinel had read of atRung when it was last woken
	atOwner   = 64
	atChecked = 64 // after atOwner: the owners of soft:checked
	sentinels = 4
	size      = 4096
)

func openWitness(path string) (*witness, error) {
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
	return &witness{b}, nil
}

func (w *witness) word(i int) *atomic.Uint64 { return kernel.Word64(w.b, 8*i) }

// epoch is the number of the present keeper. Each has a registry of its own: what one grants says nothing of the others.
func (w *witness) epoch() uint64 { return w.word(atEpoch).Load() }

// own says that this process has been granted v, by a call that began in an epoch. If another one began meanwhile
// nobody can say whose the grant is: it counts for neither, and the lifeline of a former one has hung up.
func (w *witness) own(v int, epoch uint64) (mine uint64) {
	mine = epoch<<32 | uint64(os.Getpid())
	for w.epoch() == epoch {
		other := w.word(atOwner + v).Load()
		if other != 0 && other>>32 == mine>>32 && alive(int(uint32(other))) {
			w.word(atDouble).Add(1)
			fmt.Fprintf(os.Stderr, "DOUBLE HOLDER of %d: %d and %d\n", v, os.Getpid(), uint32(other))
			return 0
		}
		if w.word(atOwner+v).CompareAndSwap(other, mine) {
			return mine
		}
	}
	return 0
}

// disown goes before every way of letting go.
func (w *witness) disown(v int, mine uint64) { w.word(atOwner+v).CompareAndSwap(mine, 0) }

// exiting is PF_EXITING (include/linux/sched.h), in the flags of proc_pid_stat(5), field 9.
const exiting = 0x4

// alive reports whether a process runs; one that is dead and not yet waited for does not, and neither does one that is on its way
// out: a dying process closes its files first, by which its vectors are free (rule 6), and is a zombie only later.
func alive(pid int) bool {
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
