package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// thread is what the host's kernel knows of one of QEMU's, see proc(5).
type thread struct {
	name, state, wchan, syscall string
	ran, waited                 time.Duration // on a processor, for one
}

// threadsOf reads them by id; what cannot be read is empty.
func threadsOf(pid int) map[int]thread {
	all := map[int]thread{}
	dirs, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, dir := range dirs {
		read := func(name string) string {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			return strings.TrimSpace(string(text))
		}
		t := thread{name: read("comm"), wchan: read("wchan"), syscall: read("syscall")}
		for line := range strings.Lines(read("status")) {
			if state, ok := strings.CutPrefix(line, "State:"); ok {
				t.state = strings.TrimSpace(state)
			}
		}
		fmt.Sscanf(read("schedstat"), "%d %d", &t.ran, &t.waited)
		if id, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			all[id] = t
		}
	}
	return all
}

// describe prints threads, and how long each ran since before.
func describe(before, now map[int]thread) string {
	var b strings.Builder
	var ids []int
	for id := range now {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		t, was := now[id], before[id]
		number, _, _ := strings.Cut(t.syscall, " ")
		fmt.Fprintf(&b, "%d %s: %s, in %s, system call %s; ran %.1f s in all, %.2f s just now, when it waited %.2f s for a processor\n",
			id, t.name, t.state, t.wchan, number, t.ran.Seconds(), (t.ran - was.ran).Seconds(), (t.waited - was.waited).Seconds())
	}
	return b.String()
}

// running says whether a process is there and no zombie.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// starvation watches how much of the time for which a VM's threads want a processor the host gives them one.
type starvation struct {
	pid int

	mu      sync.Mutex
	samples []sample // the last of them, one every sampleEvery
}

type sample struct{ ran, waited time.Duration }

const (
	sampleEvery = 5 * time.Second
	sampleKept  = 6 // as long as the shortest time after which a kernel speaks of a stall, 21 s, and some more
)

func (s *starvation) take() sample {
	var sum sample
	for _, t := range threadsOf(s.pid) {
		sum.ran += t.ran
		sum.waited += t.waited
	}
	return sum
}

// watch takes samples until done.
func (s *starvation) watch(done <-chan struct{}) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		now := s.take()
		s.mu.Lock()
		s.samples = append(s.samples, now)
		s.samples = s.samples[max(0, len(s.samples)-sampleKept):]
		s.mu.Unlock()
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

// starved says whether the VM waited in the last half minute for most of the time that it wanted to run.
func (s *starvation) starved() bool {
	now := s.take()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.samples) > 0 && starved(s.samples[0], now)
}

// starved: less than a quarter of what it wanted, and that for some seconds. Two VMs on two processors get half of it.
func starved(from, to sample) bool {
	ran, waited := to.ran-from.ran, to.waited-from.waited
	return waited > 5*time.Second && waited > 3*ran
}
