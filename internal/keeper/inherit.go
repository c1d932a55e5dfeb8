package keeper

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
)

// Inherited is what an earlier keeper left to this one.
type Inherited struct {
	Memory int
	Held   map[int][]int // by slot; nil if it came out of the descriptor store
	Files  []*os.File    // Options.Files of the earlier keeper

	control int            // the socket from the last worker, with what it said and nobody heard; -1 if there is none
	stored  map[uint32]int // what came out of the descriptor store
	names   []string       // in the descriptor store
}

// Close lets everything go but the files.
func (in *Inherited) Close() {
	for _, fd := range []int{in.Memory, in.control} {
		if fd >= 0 {
			kernel.Close(fd)
		}
	}
	for _, fd := range in.stored {
		kernel.Close(fd)
	}
	for _, fds := range in.Held {
		closeAll(fds)
	}
}

const inheritEnv = "IVTD_INHERIT"

// execute replaces this process by the program file, which may be a newer one, and hands everything over.
func (k *Keeper) execute() error {
	var table bytes.Buffer
	fmt.Fprintf(&table, "memory %d\n", k.memory.FD())
	keep := []int{k.memory.FD()}
	for _, f := range k.options.Files {
		// Fd is safe here: nobody reads the file through Go's poller in this process.
		fmt.Fprintf(&table, "file %d %s\n", f.Fd(), f.Name())
		keep = append(keep, int(f.Fd()))
	}
	fmt.Fprintf(&table, "stored %s\n", strings.Join(k.store.all(), " "))
	for slot, fds := range k.held {
		fmt.Fprintf(&table, "slot %d%s\n", slot, joinInts(fds)) // not close-on-exec: see hold
	}
	fd, err := kernel.MemoryFileOf("ivtd-upgrade", table.Bytes())
	if err != nil {
		return err
	}
	defer kernel.Close(fd)
	for _, f := range append(keep, fd) {
		if err := kernel.SetCloseOnExec(f, false); err != nil {
			return err
		}
	}
	env := append(os.Environ(), inheritEnv+"="+strconv.Itoa(fd))
	err = syscall.Exec(k.options.Program, append([]string{k.options.Program}, os.Args[1:]...), env)
	for _, f := range keep {
		kernel.SetCloseOnExec(f, true) // back as it was; the exec failed, so this process goes on
	}
	return err
}

// Inherit returns what an earlier keeper handed to this process by an upgrade in place, or nil.
func Inherit() (*Inherited, error) {
	text, ok := os.LookupEnv(inheritEnv)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(inheritEnv)
	fd, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: %w", inheritEnv, text, err)
	}
	defer kernel.Close(fd)
	size, err := kernel.FileSize(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inheritEnv, err)
	}
	b, err := kernel.MapShared(fd, int(size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inheritEnv, err)
	}
	defer kernel.Unmap(b)
	in := &Inherited{Memory: -1, Held: map[int][]int{}, control: -1}
	for line := range strings.Lines(string(b)) {
		if err := in.parse(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("%s: line %q: %w", inheritEnv, line, err)
		}
	}
	return in, nil
}

func (in *Inherited) parse(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("too short")
	}
	if words[0] == "stored" {
		in.names = words[1:]
		return nil
	}
	var numbers []int
	for _, w := range words[1:] {
		if words[0] == "file" && len(numbers) == 1 {
			break
		}
		n, err := strconv.Atoi(w)
		if err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	switch words[0] {
	case "memory":
		in.Memory = numbers[0]
	case "file":
		in.Files = append(in.Files, os.NewFile(uintptr(numbers[0]), strings.Join(words[2:], " ")))
	case "slot":
		in.Held[numbers[0]] = numbers[1:]
		numbers = numbers[1:]
	default:
		return fmt.Errorf("unknown word")
	}
	for _, fd := range numbers {
		if err := kernel.SetCloseOnExec(fd, true); err != nil {
			return err
		}
	}
	return nil
}

func joinInts(ns []int) string {
	var b strings.Builder
	for _, n := range ns {
		b.WriteString(" " + strconv.Itoa(n))
	}
	return b.String()
}
