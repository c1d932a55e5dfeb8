package main

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/ivtd/ivt"
)

var restartRows = []row{
	{"kill -9 of the worker -> the next one serves, 10,000 connections", goal{limit: 100e6}, (*bench).restarting},
}

// crowds is how many processes share the connections, and each of a connection's sides has so many descriptors of it at most.
const crowds, perConnection = 4, 3

// connectable is how many connections ivtd grants: it leaves a sixteenth of the descriptors for all else.
func connectable(limit int) int { return (limit - limit/16 - 500) / perConnection }

// restarting takes the time from the signal to the next worker's first answer. Everybody is still connected then.
func (b *bench) restarting() (ours, peer sample, err error) {
	n := 10_000
	limit, err := descriptors(perConnection*n + 1000)
	if err != nil {
		return nil, nil, err
	}
	n = min(n, connectable(limit)/crowds*crowds)
	b.note("%d connections of %d processes, RLIMIT_NOFILE %d", n, crowds, limit)
	socket, process, err := b.whole(n)
	if err != nil {
		return nil, nil, err
	}
	for i := range crowds {
		if _, err := b.start("crowd", nil, "IVT_SOCKET="+socket, "IVT_BENCH_CROWD=connections",
			"IVT_BENCH_FIRST="+strconv.Itoa(i*n/crowds), "IVT_BENCH_VECTORS="+strconv.Itoa(n/crowds)); err != nil {
			return nil, nil, err
		}
	}
	return func() (float64, error) { return restart(socket, process.Process.Pid, n) }, nil, nil
}

func restart(socket string, keeper, connections int) (float64, error) {
	workers, err := childrenOf(keeper)
	if err != nil || len(workers) != 1 {
		return 0, fmt.Errorf("workers of %d: %v, %w", keeper, workers, err)
	}
	worker := workers[0]
	start := time.Now()
	if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
		return 0, err
	}
	client, err := ivt.Dial(context.Background(), ivt.Socket(socket))
	took := time.Since(start)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	s, err := client.Status(context.Background())
	if err == nil && (s.PID == worker || s.Connections != connections) {
		err = fmt.Errorf("pid %d after %d, %d connections of %d", s.PID, worker, s.Connections, connections)
	}
	return float64(took), err
}

// descriptors raises RLIMIT_NOFILE, for the processes that are started, too, and returns what it is.
func descriptors(want int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	higher := syscall.Rlimit{Cur: max(limit.Cur, uint64(want)), Max: max(limit.Max, uint64(want))}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &higher) != nil { // needs CAP_SYS_RESOURCE
		higher = syscall.Rlimit{Cur: min(higher.Cur, limit.Max), Max: limit.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &higher); err != nil {
			return 0, err
		}
	}
	return int(higher.Cur), nil
}
