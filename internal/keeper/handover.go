package keeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/ivtd/ivt/internal/kernel"
)

// What is held comes to a worker with its birth: fork copies descriptors some twenty times faster than a socket passes them, and
// everybody waits meanwhile. So what is held is not close-on-exec, a worker has it under the keeper's numbers, and a table says what
// is whose: for each slot its number, how many descriptors it has, and which, as u32.
//
// Nothing that a worker is given at a fixed number may fall on one of those. They are all above lowest.

// lowest is the first number that is nothing else in a worker.
func (k *Keeper) lowest() int { return FirstFile + len(k.options.Files) }

// hold takes descriptors over for a slot.
func (k *Keeper) hold(slot int, fds []int) {
	for i, fd := range fds {
		moved, err := inheritable(fd, k.lowest())
		if err != nil {
			k.options.Log.Error("a worker that starts from now on cannot have what a slot holds", "slot", slot, "err", err)
			closeAll(fds)
			return
		}
		fds[i] = moved
	}
	k.held[slot] = fds
}

// inheritable has fd survive an exec, and gives it another number if that is below lowest.
func inheritable(fd, lowest int) (int, error) {
	if fd >= lowest {
		return fd, kernel.SetCloseOnExec(fd, false)
	}
	above, err := kernel.DuplicateAbove(fd, lowest)
	if err != nil {
		return fd, err
	}
	kernel.Close(fd)
	return above, kernel.SetCloseOnExec(above, false)
}

// table writes down what is held.
func (k *Keeper) table() (fd int, err error) {
	var b []byte
	for slot, fds := range k.held {
		b = binary.LittleEndian.AppendUint32(b, uint32(slot))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(fds)))
		for _, fd := range fds {
			b = binary.LittleEndian.AppendUint32(b, uint32(fd))
		}
	}
	return kernel.MemoryFileOf("ivtd-held", append(b, tableEnd...))
}

// tableEnd tells a table from anything else, and an empty one from nothing.
const tableEnd = "held"

var errNoTable = errors.New("the keeper does not say what it holds: is it of another version? " +
	"kill -USR2 its process, and it becomes this one")

// readTable returns the descriptors by slot, and closes the table. They are the caller's, close-on-exec.
func readTable(fd, slots int) (map[int][]int, error) {
	f := os.NewFile(uintptr(fd), "table")
	defer f.Close()
	b, err := mapped(fd)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNoTable, err)
	}
	defer kernel.Unmap(b)
	end := len(b) - len(tableEnd)
	if end < 0 || end%4 != 0 || string(b[end:]) != tableEnd {
		return nil, errNoTable
	}
	numbers := make([]int, end/4)
	for i := range numbers {
		numbers[i] = int(binary.LittleEndian.Uint32(b[4*i:]))
	}
	held := make(map[int][]int, len(numbers)/3)
	for len(numbers) > 0 {
		if len(numbers) < 2 {
			return nil, errNoTable
		}
		slot, n := numbers[0], numbers[1]
		if slot < 0 || slot >= slots || n < 0 || n > min(len(numbers)-2, MaxDescriptors) || held[slot] != nil {
			return nil, errNoTable
		}
		held[slot], numbers = numbers[2:2+n:2+n], numbers[2+n:]
	}
	kernel.CloseOnExecFrom(ControlFile) // where there is no such call it makes no difference: a worker executes nothing
	return held, nil
}

func mapped(fd int) ([]byte, error) {
	size, err := kernel.FileSize(fd)
	if err != nil || size < int64(len(tableEnd)) || size > 1<<30 {
		return nil, errors.Join(err, fmt.Errorf("%d bytes", size))
	}
	return kernel.MapShared(fd, int(size))
}
