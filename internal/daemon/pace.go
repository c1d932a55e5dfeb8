package daemon

import (
	"sync"
	"time"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/varlink"
)

// A pace holds users who ask more than their share up, each for itself, so that nobody waits for another user's flood: a session
// waits before its call is served. A user may save up a quarter of a second.
type pace struct {
	mu    sync.Mutex
	spent map[int]time.Time // until when a user's share is spent
	late  turns             // of those who had to wait
}

// turnTime is how long the call of a user who had to wait keeps the user's next one back. Others find a processor free meanwhile.
const turnTime = 5 * time.Millisecond

// What calls cost beside their being one, in calls: replies of many vectors or events take as long as these many refusals.
const pageCost = 8

// mostPaced is how many users are remembered before those are forgotten who owe nothing.
const mostPaced = 1024

// spend takes n calls from a user's share, and returns how long to wait for them.
func (p *pace) spend(uid, n, perSecond int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent == nil {
		p.spent = map[int]time.Time{}
	}
	if len(p.spent) >= mostPaced {
		for other, until := range p.spent {
			if until.Before(now) {
				delete(p.spent, other)
			}
		}
	}
	until := p.spent[uid]
	if until.Before(now) {
		until = now
	}
	until = until.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
	p.spent[uid] = until
	return until.Sub(now) - time.Second/4
}

// take waits for the turn of a user who asked more than its share. It ends with done, or when it has lasted for long: a call may wait.
func (p *pace) take(uid int) (done func()) {
	end := sync.OnceFunc(p.late.take(uid))
	timer := time.AfterFunc(turnTime, end)
	return func() {
		timer.Stop()
		end()
	}
}

// paced waits until a user may make n calls more, and reports whether that was above its share. Administrators always may.
func (s *Server) paced(of policy.Subject, n int) (waited bool) {
	p := s.live.Load()
	if p.Limits.CallsPerUser == 0 || p.Administrator(of) {
		return false
	}
	wait := s.pace.spend(of.UID, n, p.Limits.CallsPerUser, time.Now())
	if wait <= 0 {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.base.Done():
	}
	return true
}

// admit is asked about each new session, on its own goroutine: opening one counts as a call.
func (s *Server) admit(p *varlink.Peer) error {
	s.paced(policy.Subject{UID: int(p.UID), GID: int(p.GID)}, 1)
	return nil
}
