package api

import (
	"time"

	"github.com/ivtd/ivt/irq"
)

// A Holder is irq.Holder on the wire.
type Holder struct {
	Kind       irq.HolderKind `json:"kind"`
	PID        int            `json:"pid,omitempty"`
	StartTime  uint64         `json:"startTime,omitempty"`
	UID        *int           `json:"uid,omitempty"`
	GID        *int           `json:"gid,omitempty"`
	Command    string         `json:"command,omitempty"`
	Unit       string         `json:"unit,omitempty"`
	Cgroup     string         `json:"cgroup,omitempty"`
	Label      string         `json:"label,omitempty"`
	Driver     string         `json:"driver,omitempty"`
	Device     string         `json:"device,omitempty"`
	IRQ        int            `json:"irq,omitempty"`
	Since      time.Time      `json:"since,omitzero"`
	Connection string         `json:"connection,omitempty"`
	Shared     bool           `json:"shared,omitempty"`
	Access     irq.Access     `json:"access,omitempty"`
	Left       int64          `json:"millisecondsLeft,omitempty"`
}

// FromHolder puts a holder on the wire.
func FromHolder(h irq.Holder) Holder {
	return Holder{
		Kind: h.Kind, PID: h.PID, StartTime: h.StartTime, UID: h.UID, GID: h.GID, Command: h.Command, Unit: h.Unit,
		Cgroup: h.Cgroup, Label: h.Label, Driver: h.Driver, Device: h.Device, IRQ: h.IRQ, Since: h.Since.Round(0).UTC(),
		Connection: h.Connection, Shared: h.Shared, Access: h.Access, Left: milliseconds(h.Left),
	}
}

// Holder takes it off the wire.
func (h Holder) Holder() irq.Holder {
	return irq.Holder{
		Kind: h.Kind, PID: h.PID, StartTime: h.StartTime, UID: h.UID, GID: h.GID, Command: h.Command, Unit: h.Unit,
		Cgroup: h.Cgroup, Label: h.Label, Driver: h.Driver, Device: h.Device, IRQ: h.IRQ, Since: h.Since,
		Connection: h.Connection, Shared: h.Shared, Access: h.Access, Left: time.Duration(h.Left) * time.Millisecond,
	}
}

// milliseconds rounds up, so that a grace with some time left never looks like none.
func milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// FromHolders is FromHolder for a list, never nil.
func FromHolders(hs []irq.Holder) []Holder {
	out := make([]Holder, len(hs))
	for i, h := range hs {
		out[i] = FromHolder(h)
	}
	return out
}

// Holders takes a list off the wire; an empty one is nil.
func Holders(hs []Holder) []irq.Holder {
	if len(hs) == 0 {
		return nil
	}
	out := make([]irq.Holder, len(hs))
	for i, h := range hs {
		out[i] = h.Holder()
	}
	return out
}
