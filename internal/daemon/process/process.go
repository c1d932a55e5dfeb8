package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// A Process is one process of this machine.
type Process struct {
	PID     int
	Start   uint64 // clock ticks since boot, proc_pid_stat(5) field 22
	Command string // comm, at most 15 bytes of anything
	Cgroup  string // full path; "" if the kernel does not tell
	Unit    string // system unit, "" if it is in none
}

// Read returns what /proc says of a process now. fs.ErrNotExist: there is none such.
func Read(pid int) (Process, error) {
	s, err := readStat(pid)
	if err != nil {
		return Process{}, err
	}
	p := Process{PID: pid, Start: s.start, Command: s.command}
	// A process without readable cgroup (it just exits, cgroups are not mounted) is in no unit: less is granted, not more.
	if data, err := os.ReadFile(path(pid, "cgroup")); err == nil {
		p.Cgroup = parseCgroup(data)
		p.Unit = unitOf(p.Cgroup)
	}
	return p, nil
}

// Alive reports whether that very process still runs; a zombie does not. Where that cannot be read, for want of
// descriptors above all, it does: a death is believed when it is seen.
func Alive(pid int, start uint64) bool {
	s, err := readStat(pid)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH)
	}
	return s.start == start && s.state != 'Z' && s.state != 'X'
}

// Command returns the present comm of that very process; it changes when the process executes a program.
// ok is false if the process is gone.
func Command(pid int, start uint64) (command string, ok bool) {
	s, err := readStat(pid)
	return s.command, err == nil && s.start == start
}

func path(pid int, file string) string { return "/proc/" + strconv.Itoa(pid) + "/" + file }

type stat struct {
	command string
	state   byte
	start   uint64
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(path(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(data)
	if err != nil {
		return stat{}, fmt.Errorf("%s: %w", path(pid, "stat"), err)
	}
	return s, nil
}

var errStat = errors.New("not the stat of a process")

// parseStat reads proc_pid_stat(5). The name stands in parentheses and may itself have any, so the last
// one ends it; state is field 3 and the start time field 22.
func parseStat(data []byte) (stat, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return stat{}, errStat
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, errStat
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, errStat
	}
	return stat{command: string(data[open+1 : end]), state: fields[0][0], start: start}, nil
}

// parseCgroup returns the path that systemd gave the process: of cgroup v2 ("0::/path"), or, on a machine
// where that is not used, of the v1 hierarchy "name=systemd" (cgroups(7)).
func parseCgroup(data []byte) string {
	unified, named := "", ""
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case controllers == "":
			unified = path
		case controllers == "name=systemd":
			named = path
		}
	}
	if unified == "" || unified == "/" && named != "" {
		return named
	}
	return unified
}

// unitOf returns the unit of a cgroup path, for units of the system manager only: those below
// /system.slice. A user's own manager names its units as it likes, all of them below user.slice.
// A path that leaves our cgroup namespace ("/../…") tells nothing.
func unitOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if parts[0] != "system.slice" {
		return ""
	}
	for _, part := range parts[1:] {
		name := strings.TrimPrefix(part, "_") // systemd escapes names that a controller's file could have
		switch {
		case part == "..":
			return ""
		case strings.HasSuffix(name, ".slice"):
			continue
		case strings.HasSuffix(name, ".service"), strings.HasSuffix(name, ".scope"):
			return name
		}
		return ""
	}
	return ""
}
