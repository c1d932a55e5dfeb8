package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/test/chaos/witness"
)

// quiet measures what is to be measured while nothing else happens.
func (c *chaos) quiet() error {
	times, err := c.connecting(c.samples)
	if err != nil {
		return err
	}
	fmt.Printf("in quiet: connect + disconnect   %s of %d\n", quantiles(times), len(times))
	if times, err = c.releases(50); err != nil {
		return err
	}
	fmt.Printf("in quiet: release after a death  %s of %d (goal: p99 10ms)\n", quantiles(times), len(times))
	return c.crowded()
}

// loadedReleases measures releases while clients go on.
func (c *chaos) loadedReleases() error {
	times, err := c.releases(20)
	if err == nil {
		fmt.Printf("under load: release after a death %s of %d, beside %d clients without pause\n", quantiles(times), len(times), actorCount)
	}
	return err
}

// quantiles are p50, p99 and the longest.
func quantiles(times []time.Duration) string {
	if len(times) == 0 {
		return "never"
	}
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, longest %v", round(sorted[len(sorted)/2]), round(sorted[len(sorted)*99/100]), round(sorted[len(sorted)-1]))
}

func p99(times []time.Duration) time.Duration {
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	return sorted[len(sorted)*99/100]
}

// connecting times connect and disconnect on one session.
func (c *chaos) connecting(n int) (times []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range n {
		from := time.Now()
		k, err := c.client.Connect(ctx, "soft:crowd/1")
		if err == nil {
			err = k.Disconnect(ctx)
		}
		if err != nil {
			return nil, err
		}
		times = append(times, time.Since(from))
	}
	return times, nil
}

// releases measures from the death of a holder to the grant for who waits.
func (c *chaos) releases(n int) (all []time.Duration, err error) {
	for range n {
		d, err := c.release()
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func (c *chaos) release() (time.Duration, error) {
	holder := c.crowding(1)
	defer func() { holder.Process.Kill(); holder.Wait() }()
	if _, err := c.held(1); err != nil {
		return 0, err
	}
	granted := make(chan error, 1)
	var at time.Time
	go func() {
		k, err := c.client.Connect(context.Background(), "soft:crowd/10000", ivt.WaitFor(patience))
		if at = time.Now(); err == nil {
			err = k.Disconnect(within(patience))
		}
		granted <- err
	}()
	for waiting := 0; waiting == 0; {
		i, err := c.client.Lookup(within(patience), "soft:crowd/10000")
		if err != nil {
			return 0, err
		}
		waiting = i.Waiting
	}
	from := time.Now()
	syscall.Kill(holder.Process.Pid, syscall.SIGKILL)
	err := <-granted
	return at.Sub(from), err
}

// held waits until a crowd of up to n is complete, and returns how many they are.
func (c *chaos) held(n int) (int, error) {
	for end := time.Now().Add(120 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		if count := int(c.w.Word(atCrowd).Load()); count > 0 {
			return count, nil
		}
	}
	return 0, fmt.Errorf("a crowd of %d never came to be\n%s", n, c.log())
}

// crowd holds n vectors, or as many as there are descriptors for, until it is killed.
func (c *client) crowd(n int) error {
	count := 0
	for ; count < n; count++ {
		err := c.timely(func(ctx context.Context) error {
			_, err := c.Connect(ctx, fmt.Sprintf("soft:crowd/%d", (10000+count)%20000))
			return err
		})
		if errors.Is(err, irq.ErrNoResources) && count > 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("%d of %d: %w", count, n, err)
		}
	}
	c.w.Word(atCrowd).Store(uint64(count))
	for {
		syscall.Pause() // where nothing else waits either, Go takes an empty select for a deadlock
	}
}

// crowded measures how long ivtd is away with as many connections as descriptors allow, and what one costs.
func (c *chaos) crowded() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	most := c.connections
	if most == 0 {
		most = min(10_000, (int(limit.Max)-500)/3) // three in the worker, and copies in keeper and store
	}
	before := c.measure()
	crowd := c.crowding(most)
	defer func() { crowd.Process.Kill(); crowd.Wait() }()
	n, err := c.held(most)
	if err != nil {
		return err
	}
	with := c.calm()
	fmt.Printf("in quiet: a connection takes     %d bytes of ivtd (Pss of worker and keeper, garbage included), %.1f descriptors of its worker, %.1f of its keeper\n",
		(with.kilobytes-before.kilobytes)*1024/n, float64(with.workerFiles-before.workerFiles)/float64(n), float64(with.keeperFiles-before.keeperFiles)/float64(n))
	c.workerGaps = nil
	for range 5 {
		if err := c.killWorker(); err != nil {
			return err
		}
		if s, err := c.status(); err != nil || s.Connections != n {
			return fmt.Errorf("after the kill there are %d connections of %d: %w", s.Connections, n, err)
		}
	}
	c.workerKills -= 5
	fmt.Printf("in quiet: serving again after a kill %s of %d, with %d connections, RLIMIT_NOFILE %d (goal: 100ms)\n", quantiles(c.workerGaps), len(c.workerGaps), n, limit.Max)
	c.gaps, c.workerGaps = nil, nil
	return nil
}

// crowding starts a process that holds n vectors.
func (c *chaos) crowding(n int) *exec.Cmd {
	c.w.Word(atCrowd).Store(0)
	return c.start("crowd", n)
}

// A measure is what keeper and worker use.
type measure struct{ keeperFiles, workerFiles, threads, kilobytes int }

func (m measure) String() string {
	return fmt.Sprintf("descriptors: keeper %d, worker %d; threads %d; memory %d KB", m.keeperFiles, m.workerFiles, m.threads, m.kilobytes)
}

func (c *chaos) measure() measure {
	s, err := c.status()
	if err != nil {
		return measure{}
	}
	keeper := c.keeper()
	return measure{files(keeper), files(s.PID), field(keeper, "status", "Threads:") + field(s.PID, "status", "Threads:"),
		field(keeper, "smaps_rollup", "Pss:") + field(s.PID, "smaps_rollup", "Pss:")}
}

func files(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}

func field(pid int, file, name string) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	_, rest, _ := bytes.Cut(b, []byte(name))
	words := strings.Fields(string(rest))
	if len(words) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(words[0])
	return n
}

// verdict prints what the load came to, and is an error if something was violated.
func (c *chaos) verdict() error {
	w := c.w
	log, _ := os.ReadFile(filepath.Join(c.folder, "log"))
	calls := w.Word(atCalls).Load()
	fmt.Printf("calls of all clients             %d in %v\n", calls, c.loadTook.Round(time.Second))
	fmt.Printf("calls judged by the model        %d in %d rounds, violations %d, rounds too long to judge %d\n", c.judged, c.counts.rounds, c.illegal, c.unjudged)
	fmt.Printf("double holders by the witness    %d\n", w.Word(witness.Double).Load())
	fmt.Printf("errors that nobody may see       %d (and %d of clients that had no descriptors of their own)\n", w.Word(atFailed).Load(), w.Word(atPoor).Load())
	fmt.Printf("killed: worker %d, keeper %d (a descriptor store stands in for systemd's) and %d (without one), clients %d\n", c.workerKills, c.keeperKills, c.anewKills, c.clientKills)
	fmt.Printf("stopped: clients %d, ivtd %d; short of descriptors: clients %d, ivtd %d; of memory: ivtd %d, of which it died %d; disk full %d (file system of its own: %t)\n",
		c.stops, c.workerStops, c.counts.poor, c.squeezes, c.starved, c.memoryDeaths, c.fullDisks, c.small)
	fmt.Printf("connections that a keeper's death cost %d\n", c.lost)
	fmt.Printf("final wakes                      %d, missed %d\n", c.counts.wakes, c.missedWakes)
	fmt.Printf("under load: serving again after a kill of the worker %s\n", quantiles(c.workerGaps))
	fmt.Printf("under load: serving again after a kill of the keeper %s\n", quantiles(c.keeperGaps))
	fmt.Printf("log of ivtd                      %d bytes\n", len(log))
	if c.illegal > 0 || w.Word(witness.Double).Load() > 0 || w.Word(atFailed).Load() > 0 || c.missedWakes > 0 {
		return errors.Join(errViolated, os.WriteFile("bin/chaos.log", log, 0o600))
	}
	return nil
}
