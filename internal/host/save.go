package host

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Save writes the machine as a gzipped tar that Open reads. It has the files that Read uses, without secrets (see the
// list in savelist.go); of the processes only those that hold an interrupt, by pid, start time, comm, uid, gid and
// cgroup. The same tree gives the same bytes. What may not be read is left out, so a picture saved by root
// tells more; who saved it is in the file ivt/machine. More files, below ivt/, are what the caller knows besides.
func (r *Root) Save(ctx context.Context, w io.Writer, more ...SavedFile) error {
	s := &saving{reading: r.reading(ctx, Options{Parts: PartHolders | PartThreads}), files: map[string]*savedNode{}}
	s.put("ivt/machine", []byte(s.about()), 0o444)
	if err := s.copy("proc/interrupts"); err != nil {
		return s.explainNoTable(err)
	}
	for _, pattern := range saved[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.glob(pattern)
	}
	s.put("proc/stat", []byte(bootLines(r.textOr("proc/stat"))), 0o444)
	s.put("proc/cmdline", []byte(strings.Join(relevant(r.textOr("proc/cmdline")), " ")+"\n"), 0o444)
	if gpio := saveGPIO(s.gpioLines()); gpio != "" {
		s.put(savedGPIO, []byte(gpio), 0o444)
	}
	s.holdersAndThreads()
	for _, f := range more {
		s.put(f.Name, f.Data, 0o444)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.write(w)
}

// A SavedFile is a file of a saved machine, such as ivt/vectors.json.
type SavedFile struct {
	Name string
	Data []byte
}

type saving struct {
	*reading
	files map[string]*savedNode
}

func (s *saving) about() string {
	uid := s.saver
	if s.Live() {
		uid = os.Geteuid()
	}
	text := fmt.Sprintf("version=1\nuid=%d\n", uid)
	if !s.Taken.IsZero() {
		text += "taken=" + s.Taken.UTC().Format(time.RFC3339Nano) + "\n"
	}
	return text
}

func (s *saving) put(name string, data []byte, mode fs.FileMode) {
	s.files[name] = &savedNode{mode: mode, data: data}
}

// copy takes one file or link. The kernel's mode is kept: it tells whether an affinity may be set.
func (s *saving) copy(name string) error {
	if target := s.link(name); target != "" {
		s.files[name] = &savedNode{mode: fs.ModeSymlink | 0o777, link: target}
		return nil
	}
	info, err := fs.Stat(s.tree, name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		s.files[name] = &savedNode{mode: fs.ModeDir | 0o755}
		return nil
	}
	b, err := s.readAll(name)
	if err != nil {
		return err
	}
	s.put(name, b, info.Mode().Perm())
	return nil
}

func (s *saving) readAll(name string) ([]byte, error) {
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKept))
}

// glob copies what matches. Elements without a star are not listed but tried.
func (s *saving) glob(pattern string) { s.globBelow(".", strings.Split(pattern, "/")) }

func (s *saving) globBelow(dir string, rest []string) {
	if s.ctx.Err() != nil {
		return
	}
	names := []string{rest[0]}
	if strings.ContainsAny(rest[0], "*[") {
		names = s.names(dir)
	}
	for _, name := range names {
		if ok, _ := path.Match(rest[0], name); !ok {
			continue
		}
		if at := path.Join(dir, name); len(rest) == 1 {
			s.deny("files of "+dir, s.copy(at))
		} else {
			s.globBelow(s.through(at), rest[1:])
		}
	}
}

// through saves a link and returns where it leads; any other name it returns as it is.
func (s *saving) through(name string) string {
	target := s.link(name)
	if target == "" || path.IsAbs(target) {
		return name
	}
	s.files[name] = &savedNode{mode: fs.ModeSymlink | 0o777, link: target}
	return path.Join(path.Dir(name), target)
}

func bootLines(stat string) (kept string) {
	for line := range strings.SplitSeq(stat, "\n") {
		for _, key := range []string{"intr ", "softirq ", "btime "} {
			if strings.HasPrefix(line, key) {
				kept += line + "\n"
			}
		}
	}
	return kept
}

// holdersAndThreads saves what names a process that holds an interrupt, and no more.
func (s *saving) holdersAndThreads() {
	found := s.scan()
	for _, p := range found.kthreads {
		if strings.HasPrefix(p.stat.comm, "irq/") {
			s.process(&p)
		}
	}
	for _, p := range found.processes {
		s.process(&p)
		dir := "proc/" + strconv.Itoa(p.pid) + "/"
		s.put(dir+"cgroup", []byte(s.textOr(dir+"cgroup")+"\n"), 0o444)
		s.put(dir+"status", []byte(idLines(s.textOr(dir+"status"))), 0o444)
		for _, d := range p.files {
			number := strconv.Itoa(d.number)
			s.files[dir+"fd/"+number] = &savedNode{mode: fs.ModeSymlink | 0o777, link: d.target}
			if d.info != "" {
				s.put(dir+"fdinfo/"+number, []byte(d.info+"\n"), 0o444)
			}
		}
	}
}

// process saves the line of /proc/PID/stat with the fields that are used; the others are 0.
func (s *saving) process(p *process) {
	fields := make([]string, 50)
	for i := range fields {
		fields[i] = "0"
	}
	fields[0], fields[1] = "S", strconv.Itoa(p.stat.parent)
	fields[19] = strconv.FormatUint(p.stat.start, 10)
	fields[37], fields[38] = strconv.Itoa(p.stat.priority), p.stat.policyNumber
	s.put(fmt.Sprintf("proc/%d/stat", p.pid), fmt.Appendf(nil, "%d (%s) %s\n", p.pid, p.stat.comm, strings.Join(fields, " ")), 0o444)
}

func idLines(status string) (kept string) {
	for line := range strings.SplitSeq(status, "\n") {
		if strings.HasPrefix(line, "Uid:") || strings.HasPrefix(line, "Gid:") {
			kept += line + "\n"
		}
	}
	return kept
}

// write orders the files and gives them no time, so that the same tree makes the same bytes.
func (s *saving) write(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	hide := newMask(s.files)
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.entry(t, name, hide); err != nil {
			return fmt.Errorf("save /%s: %w", name, err)
		}
	}
	return cmp.Or(t.Close(), z.Close())
}

func (s *saving) entry(t *tar.Writer, name string, hide *mask) error {
	n := s.files[name]
	h := &tar.Header{Name: hide.text(name), Mode: int64(n.mode.Perm()), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	switch {
	case n.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, hide.text(n.link)
		return t.WriteHeader(h)
	case n.mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return t.WriteHeader(h)
	}
	data := hide.bytes(n.data)
	h.Size = int64(len(data))
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}
