package policy

import "time"

// document is the shape of a policy file. Pointers tell what is not said from what is said to be zero.
type document struct {
	RevokeOnReload *bool                `toml:"revoke_on_reload"`
	Limits         limitsTable          `toml:"limits"`
	Soft           map[string]softTable `toml:"soft"`
	Device         []deviceTable        `toml:"device"`
	Allow          []allowTable         `toml:"allow"`
}

type limitsTable struct {
	AckDeadline        *duration `toml:"ack_deadline"`
	GraceMax           *duration `toml:"grace_max"`
	History            *int      `toml:"history"`
	SessionsPerUser    *int      `toml:"sessions_per_user"`
	CallsPerUser       *int      `toml:"calls_per_user"`
	ConnectionsPerUser *int      `toml:"connections_per_user"`
	VectorsPerUser     *int      `toml:"vectors_per_user"`
	WaitingPerUser     *int      `toml:"waiting_per_user"`
	WatchersPerUser    *int      `toml:"watchers_per_user"`
	DoorbellsPerUser   *int      `toml:"doorbells_per_user"`
	VectorsPerRequest  *int      `toml:"vectors_per_request"`
}

type softTable struct {
	Vectors   *int    `toml:"vectors"`
	Shareable *bool   `toml:"shareable"`
	Trigger   *string `toml:"trigger"`
}

type deviceTable struct {
	Match      map[string]string `toml:"match"`
	Interrupts *string           `toml:"interrupts"`
	Budget     *int              `toml:"budget"`
	Debounce   *duration         `toml:"debounce"`
	Edges      *string           `toml:"edges"`
	Bias       *string           `toml:"bias"`
	ActiveLow  *bool             `toml:"active_low"`
	Trigger    *string           `toml:"trigger"`
	Shareable  *bool             `toml:"shareable"`
	Ring       *int              `toml:"ring"`
	Open       *string           `toml:"open"`
	NoIOMMU    *bool             `toml:"unsafe_noiommu"`
}

type allowTable struct {
	Vectors []string `toml:"vectors"`
	Unit    *string  `toml:"unit"`
	User    *string  `toml:"user"`
	Group   *string  `toml:"group"`
	UID     *int     `toml:"uid"`
	GID     *int     `toml:"gid"`
	Cgroup  *string  `toml:"cgroup"`
	Access  *string  `toml:"access"`
	Share   *bool    `toml:"share"`
	Quota   *int     `toml:"quota"`
	Hide    *bool    `toml:"hide"`
}

// duration is written as text, "10s" or "500ms": a bare number, whose unit nobody said, is a mistake.
type duration string

// parse returns the duration, 0 if none is said. Anything but a time from 0 on is reported.
func (d *duration) parse(key string, bad func(key, text string)) time.Duration {
	if d == nil {
		return 0
	}
	v, err := time.ParseDuration(string(*d))
	if err != nil || v < 0 {
		bad(key, key+` must be a duration such as "10s" or "500ms"`)
	}
	return v
}
