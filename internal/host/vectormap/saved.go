package vectormap

import (
	"encoding/json"
	"fmt"
	"io/fs"
)

// SavedName is where a saved machine has the map that was read when it was saved, as JSON. It has no addresses.
const SavedName = "ivt/vectors.json"

// saved returns the map that a saved machine brings, if it was read by that method.
func (r *Reader) saved(method Method) (*Map, error) {
	text, err := fs.ReadFile(r.root.FS(), SavedName)
	if err != nil {
		return nil, errSaved
	}
	m := new(Map)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", SavedName, err)
	}
	if m.Method != method {
		return nil, errSaved
	}
	if err := m.valid(); err != nil {
		return nil, fmt.Errorf("%s: %w", SavedName, err)
	}
	m.Blind = nil // of that time; what this Read could not see is added
	if !m.Counted() {
		m.Blind = []Blind{notCounted(errSymbolsMissing)}
	}
	return m, nil
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
