package api

import (
	"time"

	"github.com/ivtd/ivt/irq"
)

// The parameters of each method are a type with its name and In, those of the reply the same with Out.

// ConnectIn asks for vectors by name.
type ConnectIn struct {
	Vectors []string    `json:"vectors"`
	Shared  bool        `json:"shared,omitempty"`
	Trigger irq.Trigger `json:"trigger,omitempty"`
	Access  irq.Access  `json:"access,omitempty"`
	Consent bool        `json:"consent,omitempty"`
	Terms
}

// ConnectAnyIn asks for any free vectors.
type ConnectAnyIn struct {
	Source  string      `json:"source"`
	Type    string      `json:"type,omitempty"`
	Count   int         `json:"count"`
	Trigger irq.Trigger `json:"trigger,omitempty"`
	Terms
}

// Terms are what both ways of connecting have in common.
type Terms struct {
	Label   string `json:"label,omitempty"`
	Wait    bool   `json:"wait,omitempty"`
	Timeout int64  `json:"timeoutMilliseconds,omitempty"`
	Grace   int64  `json:"graceSeconds,omitempty"`
	DryRun  bool   `json:"dryRun,omitempty"`
}

// ConnectOut is a connection with the indexes of its descriptors.
type ConnectOut struct {
	Connection string     `json:"connection"`
	Generation uint64     `json:"generation"`
	Token      string     `json:"resumeToken,omitempty"`
	Lifeline   *int       `json:"lifelineFileDescriptor,omitempty"`
	Deliveries []Delivery `json:"deliveries"`
	Next       string     `json:"next,omitempty"`
	Device     *int       `json:"deviceFileDescriptor,omitempty"`
	Container  *int       `json:"containerFileDescriptor,omitempty"`
}

// A Delivery is how one vector's interrupts come.
type Delivery struct {
	Vector     string       `json:"vector"`
	Kind       irq.Delivery `json:"kind"`
	Descriptor int          `json:"deliveryFileDescriptor"`
	Unmask     *int         `json:"unmaskFileDescriptor,omitempty"`
}

// DeliveriesIn asks for the next page of a connection's deliveries.
type DeliveriesIn struct {
	Connection string `json:"connection"`
	Generation uint64 `json:"generation"`
	After      string `json:"after"`
}

// DeliveriesOut is one page.
type DeliveriesOut struct {
	Deliveries []Delivery `json:"deliveries"`
	Next       string     `json:"next,omitempty"`
}

// ResumeIn asks for a connection whose former process is dead.
type ResumeIn struct {
	Connection string `json:"connection"`
	Token      string `json:"resumeToken"`
}

// ResumeOut is the connection's next generation.
type ResumeOut struct {
	Generation uint64     `json:"generation"`
	Token      string     `json:"resumeToken"`
	Lifeline   *int       `json:"lifelineFileDescriptor,omitempty"`
	Deliveries []Delivery `json:"deliveries"`
	Next       string     `json:"next,omitempty"`
}

// ConnectionIn names one generation of a connection.
type ConnectionIn struct {
	Connection string `json:"connection"`
	Generation uint64 `json:"generation"`
}

// SetSuccessorIn names who goes first when the connection ends.
type SetSuccessorIn struct {
	ConnectionIn
	PID int `json:"pid"`
}

// MaskIn names a vector to mask or unmask.
type MaskIn struct {
	ConnectionIn
	Vector string `json:"vector"`
}

// VectorIn names a vector.
type VectorIn struct {
	Vector string `json:"vector"`
}

// DoorbellOut has the index of the raiser's half.
type DoorbellOut struct {
	Doorbell int `json:"doorbellFileDescriptor"`
}

// RaiseIn rings; Count 0 rings once.
type RaiseIn struct {
	Vector string `json:"vector"`
	Count  uint64 `json:"count,omitempty"`
}

// RevokeIn takes a connection away.
type RevokeIn struct {
	Connection string `json:"connection"`
	Grace      int64  `json:"graceSeconds,omitempty"`
	Why        string `json:"why,omitempty"`
}

// DetachIn lets a source go.
type DetachIn struct {
	Source string `json:"source"`
	Force  bool   `json:"force,omitempty"`
}

// LookupOut is one vector.
type LookupOut struct {
	Vector Vector `json:"vector"`
}

// ListIn asks for a page of vectors.
type ListIn struct {
	Source string `json:"source,omitempty"`
	Held   bool   `json:"held,omitempty"`
	After  string `json:"after,omitempty"`
}

// ListOut is a page, with the number of the last event before it.
type ListOut struct {
	Vectors  []Vector `json:"vectors"`
	Sequence uint64   `json:"sequence"`
	Next     string   `json:"next,omitempty"`
}

// WatchIn asks for events; Since nil asks for a snapshot first.
type WatchIn struct {
	Source string  `json:"source,omitempty"`
	Since  *uint64 `json:"since,omitempty"`
}

// WatchOut is one of its replies.
type WatchOut struct {
	Snapshot []Vector `json:"snapshot,omitempty"`
	Sequence uint64   `json:"sequence,omitempty"`
	Ready    bool     `json:"ready,omitempty"`
	Event    *Event   `json:"event,omitempty"`
	Lost     uint64   `json:"lost,omitempty"`
}

// HistoryIn asks for a page of events.
type HistoryIn struct {
	Vector string    `json:"vector,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	After  string    `json:"after,omitempty"`
}

// HistoryOut is a page.
type HistoryOut struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"`
}

// StatusOut is how ivtd is.
type StatusOut struct {
	Instance    string         `json:"instance"`
	Version     string         `json:"version"`
	Since       time.Time      `json:"since"`
	PID         int            `json:"pid"`
	Policy      string         `json:"policy"`
	Sources     []string       `json:"sources"`
	Vectors     int            `json:"vectors"`
	Connections int            `json:"connections"`
	Orphans     int            `json:"orphans"`
	Waiting     int            `json:"waiting"`
	Sessions    int            `json:"sessions"`
	Sequence    uint64         `json:"sequence"`
	Refusals    map[string]int `json:"refusals"`
	Limits      []string       `json:"limits"`
}
