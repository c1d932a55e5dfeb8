package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
)

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
	keeper := c.ivtd.Process.Pid
	return measure{files(keeper), files(s.PID), field(keeper, "status", "Threads:") + field(s.PID, "status", "Threads:"),
		field(keeper, "smaps_rollup", "Pss:") + field(s.PID, "smaps_rollup", "Pss:")}
}

// settled is measure when nobody but the sentinels holds anything.
func (c *chaos) settled() (m measure, err error) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s, err := c.status()
		if err != nil {
			return m, err
		}
		if s.Connections <= sentinels+3 && s.Waiting == 0 { // the checked clients go on at first
			return c.measure(), nil
		}
	}
	return m, errors.New("connections of clients that are gone are left")
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

// releases measures from the death of a holder to the grant for who waits.
func (c *chaos) releases(n int) (string, error) {
	var all []time.Duration
	for range n {
		holder := c.start("crowd", 1)
		if err := c.held(1); err != nil {
			return "", err
		}
		granted := make(chan error, 1)
		var at time.Time
		go func() {
			k, err := c.client.Connect(within(20*time.Second), "soft:crowd/10000", ivt.Wait())
			if at = time.Now(); err == nil {
				err = k.Disconnect(within(time.Second))
			}
			granted <- err
		}()
		for s, err := c.status(); s.Waiting == 0; s, err = c.status() {
			if err != nil {
				return "", err
			}
		}
		from := time.Now()
		syscall.Kill(holder.Process.Pid, syscall.SIGKILL)
		if err := <-granted; err != nil {
			return "", err
		}
		all = append(all, at.Sub(from))
		holder.Wait()
	}
	slices.Sort(all)
	return fmt.Sprintf("release after a holder's death   p50 %v, p99 %v, under load", all[len(all)/2].Round(10*time.Microsecond), all[len(all)*99/100].Round(10*time.Microsecond)), nil
}

// held waits until so many of the crowd's vectors are held.
func (c *chaos) held(n int) error {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		i, err := c.client.Lookup(within(time.Second), fmt.Sprintf("soft:crowd/%d", 10000+n-1))
		if err == nil && len(i.Holders) == 1 {
			return nil
		}
	}
	return fmt.Errorf("a crowd of %d never came to be", n)
}

// crowd holds n vectors until it is killed.
func (c *client) crowd(n int) error {
	for i := range n {
		if _, err := c.Connect(within(20*time.Second), fmt.Sprintf("soft:crowd/%d", 10000+i)); err != nil {
			return err
		}
	}
	select {}
}

// crowded measures how long ivtd is away with as many connections as descriptors allow.
func (c *chaos) crowded() (string, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return "", err
	}
	n := min(9000, (int(limit.Max)-500)/4)
	if text := os.Getenv("CONNECTIONS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	before := c.measure()
	crowd := c.start("crowd", n)
	defer func() { crowd.Process.Kill(); crowd.Wait() }()
	if err := c.held(n); err != nil {
		return "", err
	}
	with := c.measure()
	var all []time.Duration
	for range 5 {
		if err := c.killWorker(); err != nil {
			return "", err
		}
		last := c.gaps[len(c.gaps)-1]
		all = append(all, time.Duration(last.to-last.from))
		if err := c.held(n); err != nil {
			return "", fmt.Errorf("after the kill: %w", err)
		}
	}
	slices.Sort(all)
	return fmt.Sprintf("serving again after a kill       %v (median of 5, slowest %v) with %d connections, RLIMIT_NOFILE %d\nmemory of ivtd                   %d bytes a connection",
		all[2].Round(time.Millisecond), all[4].Round(time.Millisecond), n, limit.Max, (with.kilobytes-before.kilobytes)*1024/n), nil
}
