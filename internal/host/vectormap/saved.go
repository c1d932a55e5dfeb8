package vectormap

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
)

// SavedName is where a saved machine has the map that was read when it was saved, as JSON. It has no addresses.
const SavedName = "ivt/vectors.json"

// Save returns the map as a saved machine has it under SavedName, and what it says: whatever could be read, and why not what
// could not. Of a saved machine it is what that brought, nil if that was nothing. Errors are those of [Read].
func Save(ctx context.Context, root Root) (text []byte, m *Map, err error) {
	r := NewReader(root, Options{})
	if m, err = r.Read(ctx); err != nil {
		return nil, nil, err
	}
	if !root.Live() {
		if r.findBrought() != nil {
			return nil, m, nil
		}
		text, err = fs.ReadFile(root.FS(), SavedName)
		return text, m, err
	}
	text, err = json.Marshal(m)
	return text, m, err
}

// saved returns the map that a saved machine brings, if it was read by that method.
func (r *Reader) saved(method Method) (*Map, error) {
	if err := r.findBrought(); err != nil {
		return nil, err
	}
	if r.brought.Method != method {
		return nil, errSaved
	}
	m := *r.brought
	m.Blind = slices.DeleteFunc(slices.Clone(m.Blind), func(b Blind) bool { return b.Method != method }) // Read adds the others
	if !m.Counted() && len(m.Blind) == 0 {
		m.Blind = []Blind{notCounted(errSymbolsMissing)}
	}
	return &m, nil
}

// findBrought reads the map that a saved machine brings, once.
func (r *Reader) findBrought() error {
	if r.brought != nil || r.noBrought != nil {
		return r.noBrought
	}
	r.brought, r.noBrought = parseSaved(r.root.FS())
	return r.noBrought
}

func parseSaved(tree fs.FS) (*Map, error) {
	text, err := fs.ReadFile(tree, SavedName)
	if err != nil {
		return nil, errSaved
	}
	m := new(Map)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", SavedName, err)
	}
	if err := m.valid(); err != nil {
		return nil, fmt.Errorf("%s: %w", SavedName, err)
	}
	return m, nil
}

// blind says why a method failed: of a saved machine, why it did when that was saved.
func (r *Reader) blind(method Method, err error) Blind {
	b := explain(method, err, r.root)
	if r.root.Live() || r.findBrought() != nil {
		return b
	}
	i := slices.IndexFunc(r.brought.Blind, func(then Blind) bool { return then.Method == method && then.What == b.What })
	if i < 0 {
		return b
	}
	then := r.brought.Blind[i]
	b.Why, b.Cure = "when it was saved: "+then.Why, ""
	if then.Cure != "" {
		b.Cure = then.Cure + ", there, and save it again"
	}
	return b
}

// valid refuses what no machine can have.
func (m *Map) valid() error {
	last := -1
	for _, c := range m.CPUs {
		if c.Number <= last || c.Number >= maxNumber {
			return fmt.Errorf("CPU %d follows CPU %d", c.Number, last)
		}
		last = c.Number
		for _, n := range []int{c.Available, c.Allocated, c.Managed, c.ManagedAllocated} {
			if n < Unknown || n > maxNumber {
				return fmt.Errorf("CPU %d has %d vectors", c.Number, n)
			}
		}
		if c.Allocated < 0 || c.ManagedAllocated > c.Managed || c.ManagedAllocated > c.Allocated && c.Managed != Unknown {
			return fmt.Errorf("CPU %d has more managed vectors in use than in use or managed", c.Number)
		}
		for _, s := range c.Slots {
			if s.Vector < 0 || s.Vector >= maxNumber {
				return fmt.Errorf("CPU %d has vector %d", c.Number, s.Vector)
			}
		}
	}
	last = -1
	for _, q := range m.IRQs {
		if q.Number <= last {
			return fmt.Errorf("irq %d follows irq %d", q.Number, last)
		}
		last = q.Number
	}
	return nil
}
