package daemon

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/ivtd/ivt/internal/daemon/policy"
	"github.com/ivtd/ivt/internal/daemon/process"
	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// A caller is who speaks on a session, as the kernel names it. It is found out at the session's first call
// and holds for the session: what the process later does to its groups or cgroup changes nothing.
type caller struct {
	peer    *varlink.Peer
	key     processKey
	holder  irq.Holder // without label and since
	subject policy.Subject
	gate    *policy.Gate
	watched *watched // once it connected: kept for the session, so that the next connection costs no pidfd
}

// caller returns who makes a call. Each message must come from the process that opened the session, with
// the ids that it had then: a child on an inherited socket, or a process that has since dropped its
// privileges, is somebody else (rule 7).
func (s *Server) caller(c *varlink.Call, operation string) (*caller, error) {
	peer, sender := c.Peer(), c.Sender
	switch {
	case peer.PID == 0:
		return nil, s.spoofed(operation, "the caller is in a pid namespace that ivtd does not see, so it cannot be told from others",
			"run ivtd in the initial pid namespace, or the driver in ivtd's")
	case sender.PID == 0:
		return nil, s.spoofed(operation, "the message does not say who sent it: it came before ivtd served the socket, or out of another pid namespace",
			"open another session", "set PassCredentials=yes in ivtd.socket")
	case sender.PID != peer.PID:
		return nil, s.spoofed(operation, fmt.Sprintf("the session was opened by pid %d and pid %d speaks on it", peer.PID, sender.PID),
			"open a session of your own: an inherited or passed socket does not carry its opener's rights")
	case sender.UID != peer.UID || sender.GID != peer.GID:
		return nil, s.spoofed(operation, fmt.Sprintf("the session was opened as uid %d, gid %d and uid %d, gid %d speaks on it", peer.UID, peer.GID, sender.UID, sender.GID),
			"open a session after changing user; a set-user-id program makes its real and effective ids equal first")
	}
	if known, ok := c.Session().Value.(*caller); ok {
		return known, nil
	}
	k, err := s.identify(peer)
	if refusalOf(err, operation) != nil {
		return nil, err // ivtd has no descriptor left to look with: that says nothing of the caller
	}
	if err != nil {
		return nil, s.spoofed(operation, fmt.Sprintf("ivtd cannot find out who pid %d is: %v", peer.PID, err), "try again while the process runs")
	}
	c.Session().Value = k
	c.Session().AfterEnd(k.end)
	return k, nil
}

// watch begins to watch the caller's process; what it returns the caller releases. It runs on the session's goroutine.
func (k *caller) watch(ps *processes) (*watched, error) {
	if k.watched == nil {
		w, err := ps.watch(k.peer, k.key)
		if err != nil {
			return nil, err
		}
		k.watched = w
	}
	return k.watched.use(), nil
}

func (k *caller) end() {
	if k.watched != nil {
		k.watched.release()
	}
}

func (s *Server) spoofed(operation, detail string, remedies ...string) *irq.Error {
	return &irq.Error{Code: irq.ErrAccessDenied, Operation: operation, Reason: irq.ReasonDenied, Detail: detail,
		Rule: &irq.Rule{Text: "built in: who opened a session is who may speak on it"}, Remedies: remedies}
}

// identify reads what the kernel says of the peer.
func (s *Server) identify(peer *varlink.Peer) (*caller, error) {
	p, err := readPeer(peer)
	if err != nil {
		return nil, err
	}
	uid, gid := int(peer.UID), int(peer.GID)
	k := &caller{peer: peer, key: processKey{p.PID, p.Start}}
	k.subject = policy.Subject{UID: uid, GID: gid, Unit: p.Unit, Cgroup: p.Cgroup}
	if groups, err := peer.Groups(); err == nil { // a peer without groups to tell is in none
		for _, g := range groups {
			k.subject.Groups = append(k.subject.Groups, int(g))
		}
	}
	k.holder = irq.Holder{Kind: irq.HolderProcess, PID: p.PID, StartTime: p.Start, UID: &uid, GID: &gid, Command: p.Command, Unit: p.Unit, Cgroup: p.Cgroup}
	k.gate = s.live.Gate(k.subject)
	return k, nil
}

// readPeer reads /proc between opening a pidfd and seeing by it that the peer still lives: only then was what
// stood under its number about the peer, and not about a process that got the number after it.
func readPeer(peer *varlink.Peer) (process.Process, error) {
	pidfd, _, err := peer.Pidfd()
	if err != nil {
		return process.Process{}, err
	}
	defer kernel.Close(pidfd)
	p, err := process.Read(peer.PID)
	if err != nil {
		return p, err
	}
	if dead, err := kernel.IsReadable(pidfd); dead || err != nil {
		return p, errors.Join(errors.New("it is dead"), err)
	}
	return p, nil
}

// administrator refuses callers who may not take from others.
func (s *Server) administrator(k *caller, operation, subject string) error {
	if s.live.Load().Administrator(k.subject) {
		return nil
	}
	return &irq.Error{Code: irq.ErrAccessDenied, Operation: operation, Name: subject, Reason: irq.ReasonDenied,
		Detail:   "only root and ivtd's own user, uid " + strconv.Itoa(s.config.Owner) + ", may; the caller is " + k.subject.String(),
		Rule:     &irq.Rule{Text: "built in: who may take from others"},
		Remedies: []string{"ask the holder to disconnect", "sudo ivt " + operation + " " + subject}}
}
