package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// A gap is the time in which a worker was dead.
type gap struct{ from, to int64 }

func (o operation) in(gaps []gap) bool {
	return slices.ContainsFunc(gaps, func(g gap) bool { return o.Call < g.to && o.Return > g.from })
}

// ambiguous are the times, by vector, in which a refusal may be for a grant that was taken back unanswered: the calls that a
// kill met. Each may have been granted in between, whatever its answer was in the end.
func ambiguous(history []porcupine.Operation, gaps []gap) map[int][]gap {
	by := map[int][]gap{}
	for _, h := range history {
		if o := h.Input.(operation); o.Connect && o.in(gaps) {
			by[o.Vector] = append(by[o.Vector], gap{o.Call, o.Return})
		}
	}
	return by
}

// vectorModel is one vector: free (0), or held by a client.
func vectorModel(unclear map[int][]gap) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Partition: func(h []porcupine.Operation) (parts [][]porcupine.Operation) {
			by := map[int][]porcupine.Operation{}
			for _, o := range h {
				v := o.Input.(operation).Vector
				by[v] = append(by[v], o)
			}
			for _, part := range by {
				parts = append(parts, part)
			}
			return parts
		},
		Step: func(state, input, _ any) (bool, any) {
			held, o := state.(int), input.(operation)
			switch {
			case o.Connect && o.Granted:
				return held == 0, o.Client
			case o.Connect:
				return held != 0 || o.Unknown || o.in(unclear[o.Vector]), held
			case o.Granted:
				return held == o.Client, 0
			}
			if held == o.Client { // a disconnect that failed: it is over all the same, with the lifeline
				return true, 0
			}
			return true, held
		},
	}
}

// check reads the histories of all checked clients. It returns how many operations there are, and whether a sequence of
// them explains what each client saw.
func check(folder string, gaps []gap) (n int, result porcupine.CheckResult, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "history-*"))
	if err != nil {
		return 0, porcupine.Illegal, err
	}
	var history []porcupine.Operation
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return 0, porcupine.Illegal, err
		}
		for in := json.NewDecoder(f); ; {
			var o operation
			if err := in.Decode(&o); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			} else if err != nil {
				return 0, porcupine.Illegal, fmt.Errorf("%s: %w", file, err)
			}
			history = append(history, porcupine.Operation{ClientId: o.Client, Input: o, Call: o.Call, Return: o.Return})
		}
		f.Close()
	}
	result = porcupine.CheckOperationsTimeout(vectorModel(ambiguous(history, gaps)), history, time.Minute)
	if result == porcupine.Illegal {
		explain(history, gaps)
	}
	return len(history), result, nil
}

// explain prints what stands around the first operation that no sequence explains.
func explain(history []porcupine.Operation, gaps []gap) {
	_, info := porcupine.CheckOperationsVerbose(vectorModel(ambiguous(history, gaps)), history, time.Minute)
	for _, part := range info.PartialLinearizationsOperations() {
		longest := 0
		var last []porcupine.Operation
		for _, p := range part {
			if len(p) > longest {
				longest, last = len(p), p
			}
		}
		if longest == 0 {
			continue
		}
		at := last[longest-1].Call
		v := last[longest-1].Input.(operation).Vector
		var around []operation
		for _, h := range history {
			if o := h.Input.(operation); o.Vector == v && o.Return > at-int64(50*time.Millisecond) && o.Call < at+int64(100*time.Millisecond) {
				around = append(around, o)
			}
		}
		slices.SortFunc(around, func(a, b operation) int { return cmp.Compare(a.Call, b.Call) })
		fmt.Fprintf(os.Stderr, "vector %d, explained up to %d of it:\n", v, longest)
		for _, o := range around {
			fmt.Fprintf(os.Stderr, "  client %d connect=%t granted=%t unknown=%t from %d µs to %d µs\n", o.Client, o.Connect, o.Granted, o.Unknown, (o.Call-at)/1000, (o.Return-at)/1000)
		}
		for _, g := range gaps {
			if g.to > at-int64(50*time.Millisecond) && g.from < at+int64(100*time.Millisecond) {
				fmt.Fprintf(os.Stderr, "  no worker from %d µs to %d µs\n", (g.from-at)/1000, (g.to-at)/1000)
			}
		}
	}
}
