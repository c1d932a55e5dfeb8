package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/ivtd/ivt/internal/kernel"
)

// counts are what a run has done and seen.
type counts struct {
	workerKills, keeperKills, clientKills int
	stops, workerStops, poor, squeezes    int
	starved, memoryDeaths, fullDisks      int
	anewKills                             int
	wakes, missedWakes                    int
	judged, rounds, unjudged, illegal     int
	calledBefore                          int // the present round
	workerGaps, keeperGaps, anewGaps      []time.Duration
	lost                                  uint64 // connections, in the load
	loadTook                              time.Duration
}

// An actor is a client that may be killed, as the supervisor sees it.
type actor struct {
	life
	slot    int
	process *exec.Cmd
	done    chan struct{} // closed when it was waited for
	journal *journal
	next    int // entry to read
}

// actorCount is how many clients there are at once.
const actorCount = 8

// add starts a client in a slot.
func (c *chaos) add(slot int) error {
	c.next++
	a := &actor{slot: slot, done: make(chan struct{})}
	a.number = c.next
	var err error
	if a.journal, err = openJournal(journalPath(c.folder, a.number)); err != nil {
		return err
	}
	files := 0
	if c.r.IntN(16) == 0 {
		files = 12 + c.r.IntN(12)
		a.poor = true
		c.counts.poor++
	}
	c.w.Word(atSlot + slot).Store(1 << 32) // in no round yet
	a.process = c.start("client", int(a.number), fmt.Sprint("CHAOS_SLOT=", slot), fmt.Sprint("CHAOS_FILES=", files))
	a.pid = a.process.Process.Pid
	go func() {
		defer close(a.done)
		a.process.Wait()
	}()
	c.actors[slot] = a
	return nil
}

func (a *actor) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// kill kills it, and is there when it is dead.
func (a *actor) kill() {
	if a.killed == 0 {
		a.killed = kernel.Monotonic()
	}
	a.process.Process.Kill()
	<-a.done
	a.reaped = kernel.Monotonic()
}

// renew replaces a client that is dead.
func (c *chaos) renew(slot int) error {
	c.old = append(c.old, c.actors[slot])
	return c.add(slot)
}

// load is the chaos: calls, kills, squeezes, until the goals are reached.
func (c *chaos) load() error {
	for n := range sentinels {
		c.permanent = append(c.permanent, c.start("sentinel", n))
	}
	if err := c.sentinelsHold(); err != nil {
		return err
	}
	for slot := range actorCount {
		if err := c.add(slot); err != nil {
			return err
		}
	}
	begun, said := time.Now(), time.Now()
	for step := 0; !c.reached(begun); step++ {
		if err := c.step(step); err != nil {
			return err
		}
		if c.w.Word(atCalls).Load() > (c.round+1)*callsPerRound {
			if err := c.rotate(); err != nil {
				return err
			}
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			c.progress(begun)
		}
	}
	if err := c.loadedReleases(); err != nil {
		return err
	}
	if err := c.rotate(); err != nil {
		return err
	}
	for _, a := range c.actors[:actorCount] {
		a.kill()
	}
	clear(c.actors[:])
	c.checks.Wait()
	c.loadTook = time.Since(begun)
	return nil
}

const callsPerRound = 30_000

// reached reports whether the goals are; of the model's, what it will judge of the present round is a guess.
func (c *chaos) reached(begun time.Time) bool {
	if c.limit > 0 && time.Since(begun) > c.limit {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pending := int(c.w.Word(atCalls).Load()) - c.calledBefore
	return c.judged+pending*7/10 >= c.calls && c.workerKills >= c.workers && c.keeperKills >= c.keepers && c.clientKills >= c.clients
}

// step lets clients make some calls, kills some of them, does something to ivtd, and looks whether all is well after.
func (c *chaos) step(n int) error {
	perStep := max(1, c.calls/max(1, c.workers+c.keepers))
	if err := c.await(perStep/2 + c.r.IntN(perStep)); err != nil {
		return err
	}
	kills := max(1, c.clients/max(1, c.workers+c.keepers))
	for range kills/2 + c.r.IntN(kills+1) {
		if err := c.killClient(); err != nil {
			return err
		}
	}
	if err := c.disturb(); err != nil {
		return err
	}
	// Rings go on until right before the kill, during it, and once after: the last must be seen.
	for n := range sentinels {
		c.ring(n)
	}
	var ringing sync.WaitGroup
	during := c.r.IntN(sentinels)
	ringing.Go(func() { c.ring(during) })
	kill := c.killWorker
	if every := (c.workers + c.keepers) / max(1, c.keepers); c.keepers > 0 && n%every == every-1 {
		kill = c.killKeeper
	}
	err := kill()
	ringing.Wait()
	if err == nil {
		err = c.wakes()
	}
	return err
}

// await waits until clients have made so many calls more. Clients that ended by themselves are replaced.
func (c *chaos) await(calls int) error {
	until := c.w.Word(atCalls).Load() + uint64(calls)
	for end := time.Now().Add(60 * time.Second); c.w.Word(atCalls).Load() < until; time.Sleep(500 * time.Microsecond) {
		if time.Now().After(end) {
			return fmt.Errorf("clients stand still: %d calls of %d\n%s", c.w.Word(atCalls).Load(), until, c.log())
		}
		if err := c.replaceEnded(); err != nil {
			return err
		}
	}
	return nil
}

func (c *chaos) replaceEnded() error {
	for slot, a := range c.actors[:actorCount] {
		if a != nil && a.ended() {
			if code := a.process.ProcessState.ExitCode(); code != 0 {
				return fmt.Errorf("client %d ended by itself with status %d", a.number, code)
			}
			if err := c.renew(slot); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *chaos) killClient() error {
	slot := c.r.IntN(actorCount)
	a := c.actors[slot]
	if a.ended() {
		return c.renew(slot)
	}
	c.clientKills++
	a.kill()
	return c.renew(slot)
}

// ring rings a sentinel. Across a kill that is ambiguous: the ring after the gap is what counts.
func (c *chaos) ring(n int) {
	c.w.Word(atRung + n).Add(1)
	c.client.Raise(within(time.Second), watched(n), 1)
}

// wakes waits until every sentinel has been woken after the last ring, whether or not that was lost with the worker.
func (c *chaos) wakes() error {
	for n := range sentinels {
		c.counts.wakes++
		seen, rung := c.w.Word(atSeen+n), c.w.Word(atRung+n)
		for end := time.Now().Add(patience); seen.Load() < rung.Load() && time.Now().Before(end); {
			time.Sleep(100 * time.Microsecond)
		}
		if seen.Load() < rung.Load() {
			c.missedWakes++
			fmt.Fprintf(os.Stderr, "MISSED WAKE: sentinel %d saw ring %d of %d\n", n, seen.Load(), rung.Load())
		}
	}
	return nil
}

// sentinelsHold waits until each has its vector.
func (c *chaos) sentinelsHold() error {
	for n := range sentinels {
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			i, err := c.client.Lookup(within(time.Second), watched(n))
			if err == nil && len(i.Holders) == 1 {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("sentinel %d holds nothing: %w", n, err)
			}
		}
	}
	return nil
}

// progress says how far it is.
func (c *chaos) progress(begun time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Printf("%4.0f s: %d calls, %d judged; killed: worker %d, keeper %d, clients %d\n", time.Since(begun).Seconds(),
		c.w.Word(atCalls).Load(), c.judged, c.workerKills, c.keeperKills, c.clientKills)
}
