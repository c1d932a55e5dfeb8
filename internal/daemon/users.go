package daemon

import (
	"fmt"
	"sync"

	"github.com/ivtd/ivt/irq"
)

// users count what each user has of what the policy limits.
type users struct {
	mu  sync.Mutex
	all map[int]*use
}

type use struct{ connections, waiting, watchers, bells int }

// Which count a limit is about.
var (
	connectionsOf = func(u *use) *int { return &u.connections }
	waitingOf     = func(u *use) *int { return &u.waiting }
	watchersOf    = func(u *use) *int { return &u.watchers }
	bellsOf       = func(u *use) *int { return &u.bells }
)

// take counts one more for uid, unless that is above limit (0: none). The function it returns gives it back, once.
func (us *users) take(uid int, which func(*use) *int, limit int, refuse func(limit int) error) (giveBack func(), err error) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.all[uid]
	if u == nil {
		u = &use{}
	}
	if limit > 0 && *which(u) >= limit {
		return nil, refuse(limit)
	}
	if us.all == nil {
		us.all = map[int]*use{}
	}
	us.all[uid] = u
	*which(u)++
	var once sync.Once
	return func() { once.Do(func() { us.giveBack(uid, which) }) }, nil
}

func (us *users) giveBack(uid int, which func(*use) *int) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.all[uid]
	if *which(u)--; *u == (use{}) {
		delete(us.all, uid)
	}
}

// take counts for a caller, whom administrators' rights exempt from limits.
func (s *Server) take(k *caller, which func(*use) *int, limit int, key, operation string) (giveBack func(), err error) {
	if s.live.Load().Administrator(k.subject) {
		limit = 0
	}
	return s.users.take(k.subject.UID, which, limit, func(limit int) error {
		return &irq.Error{Code: irq.ErrNoResources, Operation: operation, Reason: irq.ReasonQuota, Requested: 1,
			Detail:   fmt.Sprintf("uid %d has %d already, the limit %s", k.subject.UID, limit, key),
			Remedies: []string{"disconnect what is not needed", "let the administrator raise " + key + " in [limits] of the policy"}}
	})
}

// turns lets one caller of each user through at a time, first come first: a user who asks a lot waits for itself.
type turns struct {
	mu  sync.Mutex
	all map[int]*turn
}

type turn struct {
	sync.Mutex
	users int // who has it or waits for it
}

// take waits for the user's turn, which ends with done.
func (t *turns) take(uid int) (done func()) {
	t.mu.Lock()
	mine := t.all[uid]
	if mine == nil {
		mine = &turn{}
		if t.all == nil {
			t.all = map[int]*turn{}
		}
		t.all[uid] = mine
	}
	mine.users++
	t.mu.Unlock()
	mine.Lock()
	return func() {
		mine.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.all, uid)
		}
	}
}
