package host

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/ivtd/ivt/irq"
)

// A process has descriptors that can hold an interrupt.
type process struct {
	pid   int
	stat  procStat
	files []descriptor
}

// A descriptor is one link of /proc/PID/fd.
type descriptor struct {
	number int
	target string // "/dev/vfio/12", "anon_inode:[vfio-device]"
	info   string // of fdinfo, where it tells the device
}

// A scan is one pass over the processes.
type scan struct {
	processes []process
	kthreads  []process // without files
	seen      int       // processes at all
	denied    int       // whose descriptors may not be read
}

// scan walks /proc once. extra are paths to find besides those of holds.
func (g *reading) scan(extra ...string) *scan {
	s := &scan{}
	for _, name := range g.names("proc") {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if g.ctx.Err() != nil {
			return s
		}
		s.seen++
		if g.Parts&PartThreads != 0 {
			if stat, ok := g.stat(pid); ok && stat.parent == kthreadd {
				s.kthreads = append(s.kthreads, process{pid: pid, stat: stat})
				continue // has no descriptors
			}
		}
		if g.Parts&PartHolders != 0 {
			g.descriptorsOf(s, pid, extra)
		}
	}
	return s
}

// descriptorsOf looks at one process. A process whose start time changed on the way is another one.
func (g *reading) descriptorsOf(s *scan, pid int, extra []string) {
	dir := "proc/" + strconv.Itoa(pid) + "/"
	entries, err := fs.ReadDir(g.tree, dir+"fd")
	if errors.Is(err, fs.ErrPermission) {
		s.denied++
	}
	var files []descriptor
	var before procStat
	for _, e := range entries {
		target := strings.TrimSuffix(g.link(dir+"fd/"+e.Name()), " (deleted)")
		if !holds(target, extra) {
			continue
		}
		if files == nil {
			before, _ = g.stat(pid)
		}
		d := descriptor{number: atoiOr(e.Name(), -1), target: target}
		if strings.HasPrefix(target, "anon_inode:") {
			d.info = g.textOr(dir + "fdinfo/" + e.Name())
		}
		files = append(files, d)
	}
	if files == nil {
		return
	}
	if now, ok := g.stat(pid); ok && now.start == before.start {
		s.processes = append(s.processes, process{pid: pid, stat: now, files: files})
	}
}

// holds reports whether a descriptor can hold an interrupt or make the kernel request one.
func holds(target string, extra []string) bool {
	for _, prefix := range []string{"/dev/vfio/", "/dev/uio", "/dev/gpiochip", "/dev/snd/", "/dev/rtc", "/dev/hpet",
		"/dev/tty", "/dev/console", "anon_inode:[vfio-device]", "anon_inode:gpio-", "anon_inode:[gpio-"} {
		if strings.HasPrefix(target, prefix) {
			return target != "/dev/vfio/vfio" && target != "/dev/tty" // the container and the controlling terminal
		}
	}
	for _, path := range extra {
		if target == path {
			return true
		}
	}
	return false
}

const kthreadd = 2 // the parent of all kernel threads

// A procStat is what is used of /proc/PID/stat (proc_pid_stat(5)).
type procStat struct {
	comm     string
	parent   int
	start    uint64 // clock ticks since boot
	priority int    // 1 to 99 for real-time policies
	policy   string // "other", "fifo", "rr", …
	// policyNumber is policy as the kernel writes it.
	policyNumber string
}

func (r *Root) stat(pid int) (procStat, bool) {
	text, err := r.text("proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, false
	}
	return parseStat(text)
}

// parseStat takes the line apart at the last parenthesis: a comm may have blanks and parentheses.
func parseStat(text string) (s procStat, ok bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return s, false
	}
	s.comm = text[open+1 : end]
	fields := strings.Fields(text[end+1:]) // from field 3 on
	if len(fields) < 20 {
		return s, false
	}
	s.parent = atoiOr(fields[1], 0)
	s.start, _ = strconv.ParseUint(fields[19], 10, 64)
	if len(fields) > 38 {
		s.priority = atoiOr(fields[37], 0)
		s.policy, s.policyNumber = policyName(fields[38]), fields[38]
	}
	return s, true
}

func policyName(number string) string {
	names := []string{"other", "fifo", "rr", "batch", "", "idle", "deadline", "ext"}
	if n := atoiOr(number, -1); n >= 0 && n < len(names) && names[n] != "" {
		return names[n]
	}
	return number
}

// identify names a process: what the kernel says of it.
func (g *reading) identify(p *process) Holder {
	dir := "proc/" + strconv.Itoa(p.pid) + "/"
	h := Holder{Certain: true}
	h.Kind, h.PID, h.StartTime, h.Command = irq.HolderProcess, p.pid, p.stat.start, p.stat.comm
	eachPair(g.textOr(dir+"status"), ":", func(key, value string) {
		id, _, _ := strings.Cut(value, "\t")
		n, err := strconv.Atoi(id)
		switch {
		case err != nil:
		case key == "Uid":
			h.UID = &n
			h.User = g.user(n)
		case key == "Gid":
			h.GID = &n
		}
	})
	h.Cgroup = cgroupPath(g.textOr(dir + "cgroup"))
	h.Unit = UnitOf(h.Cgroup)
	h.Exe = g.link(dir + "exe")
	return h
}

// cgroupPath returns the path in the unified hierarchy, or in systemd's own of the older layout.
func cgroupPath(text string) (path string) {
	for line := range strings.SplitSeq(text, "\n") {
		_, rest, _ := strings.Cut(line, ":")
		controllers, p, ok := strings.Cut(rest, ":")
		if ok && (controllers == "name=systemd" || controllers == "" && (path == "" || path == "/")) && p != "/" {
			path = p
		}
	}
	return path
}

// UnitOf returns the systemd system unit of a cgroup path: its first element that is no slice. What is below it
// belongs to the unit, which may name it as it likes: a user's own units are part of user@UID.service.
func UnitOf(cgroup string) string {
	for part := range strings.SplitSeq(strings.TrimPrefix(cgroup, "/"), "/") {
		switch {
		case strings.HasSuffix(part, ".slice"):
		case strings.HasSuffix(part, ".service"), strings.HasSuffix(part, ".scope"), strings.HasSuffix(part, ".socket"),
			strings.HasSuffix(part, ".mount"), strings.HasSuffix(part, ".swap"):
			return part
		default:
			return ""
		}
	}
	return ""
}

// user returns the name of a uid from the machine's own /etc/passwd, "" if it is not there.
func (g *reading) user(uid int) string {
	if g.users == nil {
		g.users = map[int]string{}
		for line := range strings.SplitSeq(g.textOr("etc/passwd"), "\n") {
			if f := strings.SplitN(line, ":", 4); len(f) == 4 {
				g.users[atoiOr(f[2], -1)] = f[0]
			}
		}
	}
	return g.users[uid]
}
