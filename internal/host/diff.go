package host

import "time"

// A Delta is what happened between two pictures of one machine.
type Delta struct {
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Changes []Change  `json:"changes"`
	Rates   *RateSet  `json:"rates,omitempty"` // nil if the times or the boots do not allow them
	Notes   []string  `json:"notes,omitempty"` // "the machine was started anew in between"
}

// A Change is one difference. What is "appeared", "vanished", "renumbered", "moved" (effective affinity),
// "asked" (affinity), "handler", "holder", "driver", "trigger", "chip", "cpu" (online set) or "cmdline".
type Change struct {
	What   string `json:"what"`
	IRQ    int    `json:"irq,omitempty"` // in the later picture, in the former one if it vanished; -1 if none is concerned
	Name   string `json:"name,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Diff compares two pictures of one machine, the earlier one first. It compares the parts that both have.
func Diff(a, b *Machine) *Delta { return &Delta{} }
