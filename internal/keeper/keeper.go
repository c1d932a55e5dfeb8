package keeper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// Options say what the keeper runs.
type Options struct {
	Program  string     // path of ivtd
	Args     []string   // of the worker, without the program's name
	Files    []*os.File // inherited by every worker, from descriptor FirstFile on: listening sockets, the lock
	Slots    int        // default DefaultSlots
	Instance string     // identity of the registry, for new memory
	Log      *slog.Logger
	Notify   string     // NOTIFY_SOCKET of systemd, for the descriptor store; empty without
	Inherit  *Inherited // what an earlier keeper left: by the store or an upgrade in place
}

// Where a worker finds what it inherits.
const (
	ControlFile = 3
	MemoryFile  = 4
	TableFile   = 5
	FirstFile   = 6

	// DefaultSlots is enough for 30,000 connections of one vector.
	DefaultSlots = 65536

	// A worker that ends before it served is started again after a pause that doubles up to a limit.
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second

	// Some hundred records fit into the socket; a worker that has more to say waits for the end of the keeper's rest.
	restPause = 2 * time.Millisecond
)

// A Keeper is the parent process of ivtd's workers.
type Keeper struct {
	options Options
	memory  *Memory
	held    map[int][]int
	store   *store
	control int
	worker  *os.Process
	ready   bool // the present worker serves
	final   bool // it said that it ends for good
	ending  bool // a signal to end came
	signals chan os.Signal
}

// Run keeps until a worker ends for good, and returns that worker's exit status. Signals that arrive on the channel
// are passed on to the worker; upgrade is the one on which the keeper executes the program file anew.
func Run(o Options, signals chan os.Signal, upgrade os.Signal) (status int, err error) {
	// A worker dies with the thread that started it (PR_SET_PDEATHSIG), so that is the main one and stays.
	runtime.LockOSThread()
	k := &Keeper{options: o, held: map[int][]int{}, signals: signals, control: -1}
	if err := k.open(); err != nil {
		return 1, err
	}
	defer k.memory.Close()
	pause := firstPause
	for {
		ended, err := k.start()
		if err != nil {
			return 1, fmt.Errorf("start worker: %w", err)
		}
		again, exit := k.attend(ended, upgrade)
		switch {
		case again:
			if err := k.execute(); err != nil {
				o.Log.Error("the new program file could not be executed; going on with the old one", "err", err)
			}
			continue
		case k.final:
			k.letGo()
			return exit, nil
		case !k.ready && len(k.held) == 0 && k.memory.Generation().Load() <= 1:
			return exit, nil // nobody holds anything yet: whoever started us wants to know at once
		case k.ending:
			k.letGo()
			return exit, nil
		case k.ready:
			pause = firstPause
			o.Log.Warn("the worker died; starting the next one", "status", exit)
			continue
		}
		o.Log.Error("the worker died before it served; its holders stay connected, but nobody can be let in or out", "status", exit, "next", pause)
		if !k.wait(pause) {
			return exit, nil
		}
		pause = min(2*pause, lastPause)
	}
}

func (k *Keeper) open() (err error) {
	if k.options.Slots == 0 {
		k.options.Slots = DefaultSlots
	}
	k.store = newStore(k.options.Notify, k.options.Log)
	if in := k.options.Inherit; in != nil {
		if k.memory, err = OpenMemory(in.Memory, bootID()); err == nil {
			k.store.memory = k.memory
			for slot, fds := range k.store.restore(in) {
				k.hold(slot, fds)
			}
			k.hearOut(in.control)
			return nil
		}
		k.options.Log.Error("what a former keeper left cannot be read and is released", "err", err)
		in.Close()
		k.store.clear(in)
	}
	if k.memory, err = NewMemory(k.options.Slots, k.options.Instance, bootID()); err != nil {
		return err
	}
	k.store.memory = k.memory
	k.store.add(memoryName, k.memory.FD())
	return nil
}

// attend serves the worker until it is gone. again asks for an upgrade in place.
func (k *Keeper) attend(ended <-chan int, upgrade os.Signal) (again bool, status int) {
	k.ready, k.final = false, false
	records := make(chan bool)
	go k.serve(records)
	var end chan int
	for records != nil || end == nil {
		select {
		case s := <-k.signals:
			if s == upgrade {
				again = true
				k.worker.Kill()
				continue
			}
			k.ending = k.ending || ends(s)
			if err := k.worker.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				k.options.Log.Warn("signal the worker", "err", err)
			}
		case wants, open := <-records:
			switch {
			case !open:
				records = nil
			case wants:
				again = true
				k.worker.Kill()
			}
		case status = <-ended:
			end, ended = make(chan int), nil
		}
	}
	kernel.Close(k.control)
	return again, status
}

// serve handles the worker's records until its end of the socket is closed, by its death at the latest. Under systemd a record
// leaves the socket when it has been dealt with: the descriptor store has a copy of the socket, and the next keeper hears again what
// this one had not done.
func (k *Keeper) serve(upgrade chan<- bool) {
	defer close(upgrade)
	buffer := make([]byte, maxRecord)
	for {
		n, fds, err := k.listen(buffer)
		if errors.Is(err, kernel.ErrCutShort) { // whose it was comes to light at the next adoption; the others are heard
			k.options.Log.Error("a record of the worker is lost: no descriptors are left", "err", err)
			k.heard()
			continue
		}
		if err != nil {
			k.options.Log.Error("receive from the worker", "err", err)
			return
		}
		if n == 0 {
			return
		}
		switch k.heed(buffer[:n], fds) {
		case opSync:
			k.store.barrier() // systemd's copies are to be closed, too
			if err := kernel.SendRights(k.control, encodeRecord(opEnd)); err != nil {
				k.options.Log.Error("answer the worker", "err", err)
			}
		case opReady:
			k.ready = true
		case opStop:
			k.final = true
		case opUpgrade:
			upgrade <- true
		}
		k.heard()
		k.rest()
	}
}

// heard takes a record that was dealt with out of the socket.
func (k *Keeper) heard() {
	if k.store.exists() {
		kernel.Discard(k.control) // it was peeked at, so it is there
	}
}

// rest pauses when there is nothing more to read: records come in bursts, and to be woken by each would take from the worker
// and its clients more than all that is in them. What was sent is safe in the socket, whether it is read or not.
func (k *Keeper) rest() {
	if more, err := kernel.IsReadable(k.control); err == nil && !more {
		time.Sleep(restPause)
	}
}

func (k *Keeper) listen(buffer []byte) (n int, fds []int, err error) {
	if k.store.exists() {
		return kernel.PeekRecord(k.control, buffer)
	}
	return kernel.ReceiveRights(k.control, buffer)
}

// heed holds what a record says is to be held, and returns its operation; 0 for one that cannot be.
func (k *Keeper) heed(record []byte, fds []int) (op uint32) {
	op, pairs, err := decodeRecord(record, len(fds), k.memory.slots)
	if err != nil {
		closeAll(fds)
		k.options.Log.Error("the worker sent a record that cannot be", "err", err)
		return 0
	}
	for _, p := range pairs {
		switch op {
		case opPut:
			k.drop(int(p.slot))
			k.hold(int(p.slot), fds[:p.count:p.count])
			fds = fds[p.count:]
			k.store.put(int(p.slot), k.held[int(p.slot)])
		case opDrop:
			k.drop(int(p.slot))
		}
	}
	return op
}

func (k *Keeper) drop(slot int) {
	k.store.drop(slot)
	if fds, ok := k.held[slot]; ok {
		closeAll(fds)
		delete(k.held, slot)
	}
}

// letGo closes everything that is held: every lifeline hangs up. Under systemd the store still has it all.
func (k *Keeper) letGo() {
	k.store.barrier()
	for slot, fds := range k.held {
		closeAll(fds)
		delete(k.held, slot)
	}
}

// wait pauses before the next try. A signal to end stops it.
func (k *Keeper) wait(pause time.Duration) bool {
	k.releaseRequested()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case s := <-k.signals:
			if ends(s) {
				return false
			}
		}
	}
}
