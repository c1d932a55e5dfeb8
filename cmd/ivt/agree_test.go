//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/internal/picture"
)

// A seen is what a view shows of one vector.
type seen struct {
	State, Who string // as people read it
	Total      int64  // -1: unknown
	Holders    []string
}

func seenRow(r *picture.Row) seen {
	s := seen{State: stateText(r), Who: r.Who(), Total: -1}
	if r.Total != nil {
		s.Total = int64(*r.Total)
	}
	for _, h := range r.Holders {
		s.Holders = append(s.Holders, fmt.Sprint(h.Kind, h.PID, h.Command, h.Label, h.Driver, h.Connection))
	}
	return s
}

// theDaemon is what ivtd itself says, by its socket.
func (b *workbench) theDaemon() map[string]seen {
	b.t.Helper()
	client, err := ivt.Dial(b.t.Context(), ivt.Socket(b.dir+"/s"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	all := map[string]seen{}
	for i, err := range client.List(b.t.Context(), "", false) {
		if err != nil {
			b.t.Fatal(err)
		}
		r := picture.Row{State: i.State, Holders: i.Holders, Masked: i.Masked, Storm: i.Storm, Waiting: i.Waiting}
		if i.Counted {
			r.Total = &i.Arrived
		}
		all[i.Vector.String()] = seenRow(&r)
	}
	return all
}

func (b *workbench) list(args ...string) map[string]seen {
	b.t.Helper()
	var p struct{ Vectors []picture.Row }
	b.document(&p, append(args, "list", "--json")...)
	return seenRows(p.Vectors)
}

func seenRows(rows []picture.Row) map[string]seen {
	all := map[string]seen{}
	for i := range rows {
		all[rows[i].Name] = seenRow(&rows[i])
	}
	return all
}

// top has no list of holders, but names them.
func (b *workbench) top(args ...string) map[string]seen {
	b.t.Helper()
	var d struct {
		Vectors []struct {
			Vector, State, Holder string
			Count                 *uint64
		}
	}
	b.document(&d, append(args, "top", "--once", "--json", "--interval", "100ms")...)
	all := map[string]seen{}
	for _, v := range d.Vectors {
		r := picture.Row{Total: v.Count}
		all[v.Vector] = seen{State: v.State, Who: v.Holder, Total: seenRow(&r).Total}
	}
	return all
}

// page is what a browser gets first.
func (b *workbench) page(args ...string) map[string]seen {
	b.t.Helper()
	address, stop := b.startPage(args...)
	defer stop()
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Get(address + "api/stream")
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			b.t.Fatal(err)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var frame struct{ Rows []struct{ picture.Row } }
		if err := json.Unmarshal([]byte(data), &frame); err != nil {
			b.t.Fatal(err)
		}
		var rows []picture.Row
		for _, r := range frame.Rows {
			rows = append(rows, r.Row)
		}
		return seenRows(rows)
	}
}

func (b *workbench) startPage(args ...string) (address string, stop func()) {
	b.t.Helper()
	c := b.command(append(args, "page", "--json")...)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	stop = func() { c.Process.Kill(); c.Wait() }
	var at struct{ Address string }
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		stop()
		b.t.Fatal(err)
	}
	return at.Address, stop
}

func (b *workbench) document(into any, args ...string) {
	b.t.Helper()
	out, errs, status := b.ivt(args...)
	if err := json.Unmarshal([]byte(out), into); err != nil || status != 0 {
		b.t.Fatalf("ivt %v: status %d, %v\n%s", args, status, err, errs)
	}
}

func without(all map[string]seen, drop func(name string, s *seen) bool) map[string]seen {
	kept := map[string]seen{}
	for name, s := range all {
		if !drop(name, &s) {
			kept[name] = s
		}
	}
	return kept
}

// TestViewsAgree: page, top and list show of the same moment the same as ivtd says: vectors, holders, states, counts, queues,
// masks, and who has died and may come back within his grace.
func TestViewsAgree(t *testing.T) {
	b := newWorkbench(t)
	b.hold("--label", "first", "soft:demo/1", "soft:demo/2")
	for _, label := range []string{"one", "two"} {
		b.hold("--share", "--label", label, "soft:demo/3")
	}
	b.hold("soft:alone/1")
	gone := b.hold("--grace", "10m", "--label", "gone", "soft:demo/5")
	gone.Process.Kill()
	waiter := b.command("connect", "--wait", "soft:demo/1")
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { waiter.Process.Kill(); waiter.Wait() }()
	b.done("mask", "soft:demo/2")
	b.done("raise", "-n", "7", "soft:demo/3")
	var daemon map[string]seen
	b.until(func() bool {
		daemon = b.theDaemon()
		return strings.HasSuffix(daemon["soft:demo/1"].State, " +1") && daemon["soft:demo/3"].Total == 7 && daemon["soft:demo/5"].State == "orphaned"
	})
	if len(daemon) != 10 || daemon["soft:demo/2"].State != "masked" || len(daemon["soft:demo/3"].Holders) != 2 || len(daemon["soft:demo/5"].Holders) != 1 {
		t.Fatalf("it is not as it should be: %+v", daemon)
	}
	list, page, top := b.list(), b.page(), b.top()
	ours := func(name string, _ *seen) bool { return !strings.HasPrefix(name, "soft:") }
	if diff := cmp.Diff(daemon, without(list, ours)); diff != "" {
		t.Errorf("ivtd and list (-ivtd +list):\n%s", diff)
	}
	// The kernel's go on counting: a later view has at least as many.
	for name, s := range list {
		if p, o := page[name], top[name]; s.Total > p.Total || p.Total > o.Total {
			t.Errorf("%s: list has %d, page then %d, top then %d", name, s.Total, p.Total, o.Total)
		}
	}
	countless := func(name string, s *seen) bool {
		if !strings.HasPrefix(name, "soft:") {
			s.Total = 0
		}
		return false
	}
	agree(t, without(list, countless), without(page, countless), without(top, countless))
}

// TestViewsOfASavedMachineAgree, to the last count.
func TestViewsOfASavedMachineAgree(t *testing.T) {
	b := newWorkbench(t)
	b.done("save", b.dir+"/machine")
	trees, err := filepath.Glob("../../internal/host/testdata/x86-6.*.tree")
	if err != nil || len(trees) == 0 {
		t.Fatal("no sample machines", err)
	}
	roots := []string{b.dir + "/machine"}
	for _, tree := range trees {
		text, err := os.ReadFile(tree)
		if err != nil {
			t.Fatal(err)
		}
		root := filepath.Join(b.dir, filepath.Base(tree))
		if err := os.WriteFile(root, hosttest.Tar(string(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
	}
	for _, root := range roots {
		list := b.list("--root", root)
		if _, live := list["soft:demo/1"]; live || len(list) == 0 {
			t.Errorf("%s: %v", root, list)
		}
		agree(t, list, b.page("--root", root), b.top("--root", root))
	}
}

func agree(t *testing.T, list, page, top map[string]seen) {
	t.Helper()
	if diff := cmp.Diff(list, page); diff != "" {
		t.Errorf("list and page (-list +page):\n%s", diff)
	}
	unnamed := func(_ string, s *seen) bool { s.Holders = nil; return false }
	if diff := cmp.Diff(without(list, unnamed), top); diff != "" {
		t.Errorf("list and top (-list +top):\n%s", diff)
	}
}

func (b *workbench) done(args ...string) {
	b.t.Helper()
	if out, errs, status := b.ivt(args...); status != 0 {
		b.t.Fatalf("ivt %v: status %d\n%s%s", args, status, out, errs)
	}
}
