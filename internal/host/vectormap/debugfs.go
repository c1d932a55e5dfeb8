package vectormap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Where a kernel with CONFIG_GENERIC_IRQ_DEBUGFS prints the map (kernel/irq/debugfs.c, irqdomain.c, matrix.c). Only read:
// a word written to irqs/N would inject the interrupt.
const (
	debugDir    = "sys/kernel/debug/irq"
	debugDomain = debugDir + "/domains/VECTOR"
	debugIRQs   = debugDir + "/irqs"
)

// readDebugfs takes the map from debugfs: the allocator, every interrupt, the allocator again. Unequal counters mean that
// something moved meanwhile.
func readDebugfs(ctx context.Context, tree fs.FS, passes int) (*Map, error) {
	before, err := fs.ReadFile(tree, debugDomain)
	if err != nil {
		return nil, err
	}
	var torn error
	for pass := 1; pass <= passes; pass++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		irqs, err := debugInterrupts(tree)
		if err != nil {
			return nil, err
		}
		after, err := fs.ReadFile(tree, debugDomain)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(before, after) {
			m, err := parseDomain(string(after))
			if err != nil {
				return nil, err
			}
			if torn = m.place(irqs); torn == nil {
				m.Passes = pass + 1
				return m, nil
			}
		}
		before = after
	}
	if torn != nil {
		return nil, fmt.Errorf("%w (%d passes; last: %w)", errUnstable, passes, torn)
	}
	return nil, fmt.Errorf("%w (%d passes)", errUnstable, passes)
}

// debugInterrupts reads every file of irqs/ that mentions a vector. One that vanishes meanwhile is skipped.
func debugInterrupts(tree fs.FS) ([]IRQ, error) {
	entries, err := fs.ReadDir(tree, debugIRQs)
	if err != nil {
		return nil, err
	}
	irqs := []IRQ{}
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := fs.ReadFile(tree, path.Join(debugIRQs, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if q, ok := parseDebugIRQ(number, string(text)); ok {
			irqs = append(irqs, q)
		}
	}
	slices.SortFunc(irqs, func(a, b IRQ) int { return a.Number - b.Number })
	return irqs, nil
}

// parseDebugIRQ reads what irqs/N says of the vector; false if the interrupt's domains do not end at one.
func parseDebugIRQ(number int, text string) (IRQ, bool) {
	q := IRQ{Number: number, CPU: Unknown}
	found := false
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		n, err := strconv.Atoi(value)
		switch key {
		case "chip":
			q.Chips = append(q.Chips, value)
		case "Vector":
			found = true // "Not assigned" for one that waits
			if err == nil {
				q.Vector = n
			}
		case "Target":
			if err == nil && q.Vector != 0 {
				q.CPU = n
			}
			q.Legacy = strings.HasPrefix(value, "Legacy PIC")
		case "Previous vector":
			q.PreviousVector = n
		case "Previous target":
			q.PreviousCPU = n
		case "move_in_progress":
			q.Moving = n != 0
		case "is_managed":
			q.Managed = n != 0
		case "can_reserve":
			q.CanReserve = n != 0
		case "has_reserved":
			q.Reserved = n != 0
		}
	}
	return q, found
}
