package irq

import "sync"

// A crew is the goroutines that the registry runs: deliveries that nobody raises just then, and ends
// that wait for a handler. Unlike a sync.WaitGroup it may be waited for while others join.
type crew struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil if nobody waits
}

func (w *crew) join() {
	w.mu.Lock()
	w.n++
	w.mu.Unlock()
}

func (w *crew) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n--; w.n == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// wait returns when nobody is at work.
func (w *crew) wait() {
	for {
		w.mu.Lock()
		if w.n == 0 {
			w.mu.Unlock()
			return
		}
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle := w.idle
		w.mu.Unlock()
		<-idle
	}
}
