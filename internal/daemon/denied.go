package daemon

import (
	"errors"
	"time"

	"github.com/ivtd/ivt/irq"
)

// A device that has just come is root's, until udev has given it to ivtd: the kernel tells both at the same time. So who is denied
// tries again, at first at once, then ever more seldom, for half a minute.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 12800 * time.Millisecond
)

// later has a source opened again, if it failed for want of permission. It reports false for what is to be said now: another failure, or
// the last try.
func (ss *sources) later(name string, failed error) bool {
	if !errors.Is(failed, irq.ErrAccessDenied) {
		return false
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if trying, known := ss.denied[name]; known {
		return trying
	}
	if ss.denied == nil {
		ss.denied = map[string]bool{}
	}
	ss.denied[name] = true
	ss.server.log.Info("a source may not be opened; it is tried again, for it may just have come", "source", name, "err", failed)
	ss.leaving.Go(func() { ss.retry(name) })
	return true
}

func (ss *sources) retry(name string) {
	defer ss.forgive(name)
	for pause := firstRetry; pause <= lastRetry; pause *= 2 {
		wait := time.NewTimer(pause)
		select {
		case <-ss.server.base.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if pause == lastRetry {
			ss.mu.Lock()
			ss.denied[name] = false
			ss.mu.Unlock()
		}
		if ss.tryAgain(name) {
			return
		}
	}
}

// tryAgain reports whether there is nothing left to try.
func (ss *sources) tryAgain(name string) bool {
	ss.working.Lock()
	defer ss.working.Unlock()
	settings, ok := ss.wanted(ss.server.base, ss.server.live.Load())[name]
	if !ok || ss.get(name) != nil || ss.server.base.Err() != nil {
		return true
	}
	ss.add(ss.server.base, name, settings)
	return ss.get(name) != nil
}

func (ss *sources) forgive(name string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.denied, name)
}
