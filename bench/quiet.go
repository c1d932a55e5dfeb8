package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// systemCalls counts what ivtd calls while interrupts arrive by eventfd, less what it calls in the same time without.
func (b *bench) systemCalls() (ours, peer sample, err error) {
	if _, err := os.Stat(callTrigger); err != nil {
		return nil, nil, skip("this kernel has no tracefs with raw_syscalls")
	}
	o, pids, err := b.watchedIvtd()
	if err != nil {
		return nil, nil, err
	}
	var during, idle, sum float64
	return func() (float64, error) {
		before, err := interruptsArrived()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		with, err := countCalls(pids, func() error { _, err := o.sample(); return err })
		if err != nil {
			return 0, err
		}
		took := time.Since(start)
		without, err := countCalls(pids, func() error { time.Sleep(took); return nil })
		if err != nil {
			return 0, err
		}
		after, err := interruptsArrived()
		during, idle, sum = during+with, idle+without, sum+after-before
		if len(b.ours) == b.rounds-1 {
			b.note("%.0f interrupts, %.0f calls; %.0f in the same time without; counted by raw_syscalls:sys_enter", sum, during, idle)
		}
		return (with - without) / (after - before) * 1000, err
	}, nil, err
}

// cpuTime compares the time on a CPU of ivtd with that of the driver, while interrupts arrive by eventfd.
func (b *bench) cpuTime() (ours, peer sample, err error) {
	o, pids, err := b.watchedIvtd()
	if err != nil {
		return nil, nil, err
	}
	driver, err := b.child("driver")
	if err != nil {
		return nil, nil, err
	}
	var drivers float64
	return func() (float64, error) {
			own, err := ran(pids)
			if err != nil {
				return 0, err
			}
			his, err := ran([]int{driver})
			if err != nil {
				return 0, err
			}
			if _, err := o.sample(); err != nil {
				return 0, err
			}
			ownAfter, err := ran(pids)
			if err != nil {
				return 0, err
			}
			hisAfter, err := ran([]int{driver})
			drivers = (hisAfter - his) / interrupts
			return (ownAfter - own) / interrupts, err
		}, func() (float64, error) {
			return drivers, nil
		}, nil
}

// watchedIvtd is an ivtd with a driver to whom interrupts are raised, and the processes of ivtd.
func (b *bench) watchedIvtd() (o *ringer, pids []int, err error) {
	if o, err = b.throughIvt("dedicated"); err != nil {
		return nil, nil, err
	}
	worker, err := b.child("ivtd")
	if err != nil {
		return nil, nil, err
	}
	children, err := childrenOf(worker)
	return o, append(children, worker), err
}

// child returns the process of ours that runs a program, or this one in a role.
func (b *bench) child(name string) (int, error) {
	children, err := childrenOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	for _, pid := range children {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			return 0, err
		}
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return 0, err
		}
		program, _, _ := strings.Cut(string(command), "\x00")
		if filepath.Base(program) == name || bytes.Contains(environ, []byte(roleVariable+"="+name+"\x00")) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("none of %v is %s", children, name)
}

// The kernel counts the system calls of each thread, Documentation/trace/histogram.rst.
const (
	callTrigger = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/trigger"
	callCounts  = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/hist"
	byThread    = "hist:keys=common_pid:size=4096"
)

// countCalls returns how many system calls the processes make while f runs.
func countCalls(pids []int, f func() error) (n float64, err error) {
	if err := os.WriteFile(callTrigger, []byte(byThread), 0); err != nil {
		return 0, err
	}
	defer func() {
		if failed := os.WriteFile(callTrigger, []byte("!"+byThread), 0); err == nil {
			err = failed
		}
	}()
	if err := f(); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(callCounts)
	if err != nil {
		return 0, err
	}
	threads := map[int]bool{}
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			tid, _ := strconv.Atoi(filepath.Base(task))
			threads[tid] = true
		}
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var tid int
		var count float64
		if _, err := fmt.Sscanf(strings.Join(strings.Fields(lines.Text()), " "), "{ common_pid: %d } hitcount: %f", &tid, &count); err == nil && threads[tid] {
			n += count
		}
	}
	return n, nil
}

// ran returns how long the threads of processes have been on a CPU, in ns (Documentation/scheduler/sched-stats.rst).
func ran(pids []int) (sum float64, err error) {
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return 0, err
			}
			var ns float64
			if _, err := fmt.Sscan(string(text), &ns); err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += ns
		}
	}
	return sum, nil
}

// interruptsArrived counts VFIO's MSI over all CPUs.
func interruptsArrived() (n float64, err error) {
	text, err := os.ReadFile("/proc/interrupts")
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "vfio-msi[") {
			continue
		}
		for _, field := range strings.Fields(line)[1:] {
			count, err := strconv.ParseFloat(field, 64)
			if err != nil {
				break
			}
			n += count
		}
	}
	return n, err
}
