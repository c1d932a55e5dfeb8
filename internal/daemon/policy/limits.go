package policy

import "time"

// Limits bound what a user may have of ivtd. Those per user do not hold for administrators (root and
// ivtd's own user). 0 means no limit.
type Limits struct {
	AckDeadline        time.Duration // rule 8: a sharer that keeps a level line masked longer is revoked; 10 s. 0: never
	GraceMax           time.Duration // longest grace that a connection may ask for; 10 min
	History            int           // events kept; 4096
	SessionsPerUser    int           // open sockets; 1024
	CallsPerUser       int           // calls and new sockets a second, a page of a list is 8; who makes more waits; 2000
	ConnectionsPerUser int           // 4096
	VectorsPerUser     int           // where the rule has no quota of its own; 65536
	WaitingPerUser     int           // calls that wait for a vector; 256
	WatchersPerUser    int           // 32
	DoorbellsPerUser   int           // descriptors that ring a vector; 1024
	VectorsPerRequest  int           // 4096
}

// DefaultLimits are those of an empty [limits].
func DefaultLimits() Limits {
	return Limits{
		AckDeadline: 10 * time.Second, GraceMax: 10 * time.Minute, History: 4096, SessionsPerUser: 1024, CallsPerUser: 2000, ConnectionsPerUser: 4096,
		VectorsPerUser: 65536, WaitingPerUser: 256, WatchersPerUser: 32, DoorbellsPerUser: 1024, VectorsPerRequest: 4096,
	}
}

// set takes what a [limits] says; a later file overrides a former one.
func (l *Limits) set(t limitsTable, bad func(key, text string)) {
	durations := []struct {
		key  string
		from *duration
		to   *time.Duration
	}{{"ack_deadline", t.AckDeadline, &l.AckDeadline}, {"grace_max", t.GraceMax, &l.GraceMax}}
	for _, d := range durations {
		if d.from != nil {
			*d.to = d.from.parse(d.key, bad)
		}
	}
	numbers := []struct {
		key  string
		from *int
		to   *int
	}{
		{"history", t.History, &l.History}, {"sessions_per_user", t.SessionsPerUser, &l.SessionsPerUser}, {"calls_per_user", t.CallsPerUser, &l.CallsPerUser},
		{"connections_per_user", t.ConnectionsPerUser, &l.ConnectionsPerUser}, {"vectors_per_user", t.VectorsPerUser, &l.VectorsPerUser},
		{"waiting_per_user", t.WaitingPerUser, &l.WaitingPerUser}, {"watchers_per_user", t.WatchersPerUser, &l.WatchersPerUser},
		{"doorbells_per_user", t.DoorbellsPerUser, &l.DoorbellsPerUser},
		{"vectors_per_request", t.VectorsPerRequest, &l.VectorsPerRequest},
	}
	for _, n := range numbers {
		switch {
		case n.from == nil:
		case *n.from < 0 || *n.from > 1<<24:
			bad(n.key, n.key+" must be from 0 (no limit) to 16777216")
		default:
			*n.to = *n.from
		}
	}
}
