package irq_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
	"pgregory.net/rapid"
)

// Rule 10 in a few lines: after every change all waiters are asked in turn, the successor first. The
// registry asks only those who can have become able; it must come to the same.
type queueModel struct {
	holders   [4][]int // pids
	shared    [4]bool
	waiters   []modelWaiter
	claims    map[int]modelWaiter // of holders
	successor map[int]int
}

type modelWaiter struct {
	pid     int
	vectors []int
	shared  bool
}

func (m *queueModel) fits(w modelWaiter, ahead []modelWaiter) bool {
	for _, v := range w.vectors {
		if len(m.holders[v]) == 0 {
			continue
		}
		if !m.shared[v] || !w.shared {
			return false
		}
		// Nobody passes one who waits for this vector alone.
		if slices.ContainsFunc(ahead, func(a modelWaiter) bool { return len(a.vectors) == 1 && a.vectors[0] == v }) {
			return false
		}
	}
	return true
}

func (m *queueModel) grant(w modelWaiter) {
	for _, v := range w.vectors {
		m.holders[v], m.shared[v] = append(m.holders[v], w.pid), w.shared
	}
	m.claims[w.pid] = w
}

func (m *queueModel) settle(successor int) {
	if i := slices.IndexFunc(m.waiters, func(w modelWaiter) bool { return w.pid == successor }); successor != 0 && i >= 0 && m.fits(m.waiters[i], m.waiters[:i]) {
		m.grant(m.waiters[i])
		m.waiters = slices.Delete(m.waiters, i, i+1)
	}
	for i := 0; i < len(m.waiters); i++ {
		if w := m.waiters[i]; m.fits(w, m.waiters[:i]) {
			m.grant(w)
			m.waiters = slices.Delete(m.waiters, i, i+1)
			i--
		}
	}
}

func (m *queueModel) leave(pid int) {
	for v := range m.holders {
		m.holders[v] = slices.DeleteFunc(m.holders[v], func(p int) bool { return p == pid })
	}
	delete(m.claims, pid)
	m.settle(m.successor[pid])
}

func TestRule10TheQueueIsThatOfTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tb := newTable(t, irq.SourceSpec{Groups: []irq.Group{edge(4)}})
		defer tb.Close()
		m := &queueModel{claims: map[int]modelWaiter{}, successor: map[int]int{}}
		q := newQueueing(tb)
		cancel := map[int]context.CancelFunc{}
		defer func() {
			for _, stop := range cancel {
				stop()
			}
			q.all.Wait()
		}()
		pid := 0
		pick := func(pids []int) int { return rapid.SampledFrom(pids).Draw(rt, "who") }
		holders := func() (pids []int) {
			for p := range m.claims {
				pids = append(pids, p)
			}
			slices.Sort(pids)
			return pids
		}
		rt.Repeat(map[string]func(*rapid.T){
			"connect": func(rt *rapid.T) {
				pid++
				w := modelWaiter{pid, rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 1, 3, rapid.ID).Draw(rt, "vectors"), rapid.Bool().Draw(rt, "shared")}
				var vs []irq.Vector
				for _, v := range w.vectors {
					vs = append(vs, tb.v(v))
				}
				if fits := m.fits(w, m.waiters); fits {
					m.grant(w)
					q.has(pid, tb.connect(as(pid, nil, func(r *irq.Request) { r.Shared = w.shared }), vs...))
					return
				}
				if _, err := tb.try(as(pid, nil, func(r *irq.Request) { r.Shared = w.shared }), vs...); err == nil {
					rt.Fatalf("%+v is granted, against the model", w)
				}
				m.waiters = append(m.waiters, w)
				ctx, stop := context.WithCancel(background)
				cancel[pid] = stop
				q.join(ctx, pid, func(r *irq.Request) { r.Shared = w.shared }, vs...)
			},
			"disconnect": func(rt *rapid.T) {
				if len(m.claims) == 0 {
					rt.Skip()
				}
				before := holders()
				p := pick(before)
				c := q.conn(p)
				m.leave(p)
				tb.disconnect(c)
				for _, n := range holders() {
					if !slices.Contains(before, n) {
						q.expect(n)
					}
				}
			},
			"name a successor": func(rt *rapid.T) {
				if len(m.claims) == 0 || len(m.waiters) == 0 {
					rt.Skip()
				}
				p, s := pick(holders()), rapid.SampledFrom(m.waiters).Draw(rt, "successor").pid
				m.successor[p] = s
				if err := q.conn(p).SetSuccessor(1, s); err != nil {
					rt.Fatal(err)
				}
			},
			"give up": func(rt *rapid.T) {
				if len(m.waiters) == 0 {
					rt.Skip()
				}
				i := rapid.IntRange(0, len(m.waiters)-1).Draw(rt, "waiter")
				p := m.waiters[i].pid
				before := holders()
				m.waiters = slices.Delete(m.waiters, i, i+1)
				m.settle(0)
				cancel[p]()
				q.expect(p)
				for _, n := range holders() {
					if !slices.Contains(before, n) {
						q.expect(n)
					}
				}
			},
			"": func(rt *rapid.T) {
				for v := range m.holders {
					var got []int
					for _, h := range tb.info(tb.v(v)).Holders {
						got = append(got, h.PID)
					}
					slices.Sort(got)
					want := slices.Sorted(slices.Values(m.holders[v]))
					if diff := cmp.Diff(want, got); diff != "" {
						rt.Fatalf("vector %d: %s\nwaiting: %+v", v, diff, m.waiters)
					}
				}
			},
		})
	})
}

func (q *queueing) has(pid int, c *irq.Connection) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cs[pid] = c
}

// expect waits until pid has come out of the queue, in whatever order they report.
func (q *queueing) expect(pid int) {
	for !q.seen[pid] {
		q.seen[<-q.got] = true
	}
}
