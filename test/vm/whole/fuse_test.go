package whole

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ivtd/ivt/test/vm/guest"
)

// Operations of FUSE (linux/fuse.h).
const (
	fuseLookup      = 1
	fuseForget      = 2
	fuseGetattr     = 3
	fuseSetattr     = 4
	fuseOpen        = 14
	fuseRead        = 15
	fuseWrite       = 16
	fuseRelease     = 18
	fuseFlush       = 25
	fuseInit        = 26
	fuseInterrupt   = 36
	fuseBatchForget = 42
)

const fuseWritebackCache = 1 << 16 // a flag of FUSE_INIT

// A tarpit is a file system that does not answer ivtd: should it close a file, or drop one that has data to write back, then it waits
// until the tarpit is drained. The tests are root and may mount it; any user can, by fusermount3 or in a user name space.
type tarpit struct {
	t      *testing.T
	dir    string
	device int
	cached bool // what is written stays in the kernel's cache until the file is closed

	nodes map[string]uint64 // files, by name, for serve

	mu      sync.Mutex
	waiting int // requests of ivtd's that are not answered
	gone    int // files of which the last descriptor was closed or dropped
}

// newTarpit mounts one until the test's end.
func newTarpit(t *testing.T, cached bool) *tarpit {
	t.Helper()
	guest.Load(t, "fuse")
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &tarpit{t: t, dir: t.TempDir(), device: device, cached: cached, nodes: map[string]uint64{}}
	data := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device)
	if err := unix.Mount("tarpit", p.dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); p.serve() }()
	t.Cleanup(func() {
		p.drain()
		<-served
		unix.Close(device)
	})
	return p
}

// drain ends the file system: all who wait for it get an error.
func (p *tarpit) drain() { unix.Unmount(p.dir, unix.MNT_FORCE|unix.MNT_DETACH) }

// file opens a file; there is one of every name.
func (p *tarpit) file(name string) int {
	p.t.Helper()
	fd, err := unix.Open(filepath.Join(p.dir, name), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return fd
}

// write has a process write to a file and keep it open: a descriptor of ours would be closed by each child of ours, which writes it back.
func (p *tarpit) write(name string) {
	p.t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "IVT_TEST_WRITE="+filepath.Join(p.dir, name))
	in, err := c.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		p.drain() // or it could not end
		in.Close()
		c.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		p.t.Fatalf("the writer of %s: %v", name, err)
	}
}

// writeTo is the process that write starts. It ends with the tests.
func writeTo(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte("x")); err != nil {
		return err
	}
	fmt.Print("x")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// stuck is how many threads of ivtd's wait, or waited, for an answer.
func (p *tarpit) stuck() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}

// released is how many open files there are no more.
func (p *tarpit) released() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// serve answers requests until the file system ends (ENODEV).
func (p *tarpit) serve() {
	request := make([]byte, 1<<18)
	for {
		n, err := unix.Read(p.device, request)
		switch {
		case err == unix.ENODEV:
			return
		case err != nil: // EINTR, or a request that was aborted
			continue
		}
		op, unique := binary.NativeEndian.Uint32(request[4:]), binary.NativeEndian.Uint64(request[8:])
		node, pid := binary.NativeEndian.Uint64(request[16:]), binary.NativeEndian.Uint32(request[32:])
		p.answer(op, unique, node, pid, request[40:n])
	}
}

func (p *tarpit) answer(op uint32, unique, node uint64, pid uint32, in []byte) {
	switch op {
	case fuseForget, fuseBatchForget, fuseInterrupt: // these are not answered
	case fuseInit:
		p.reply(unique, 0, p.init())
	case fuseLookup: // struct fuse_entry_out
		node := p.node(string(in))
		p.reply(unique, 0, append(words(node, 0, 3600, 3600, 0), attributes(node)...))
	case fuseGetattr:
		p.reply(unique, 0, append(words(3600, 0), attributes(node)...))
	case fuseOpen:
		p.reply(unique, 0, words(1, 0))
	case fuseWrite: // struct fuse_write_in: fh, offset, size
		p.reply(unique, 0, words(uint64(binary.NativeEndian.Uint32(in[16:]))))
	case fuseRead:
		p.reply(unique, 0, nil)
	case fuseFlush, fuseSetattr: // by close(2), and by who drops what has data
		switch {
		case victim(pid):
			p.count(&p.waiting)
		case op == fuseFlush:
			p.reply(unique, 0, nil)
		default:
			p.reply(unique, 0, append(words(3600, 0), attributes(node)...))
		}
	case fuseRelease:
		p.count(&p.gone)
		p.reply(unique, 0, nil)
	default:
		p.reply(unique, unix.ENOSYS, nil)
	}
}

func (p *tarpit) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

// node numbers the files from 2; 1 is the root.
func (p *tarpit) node(name string) uint64 {
	if p.nodes[name] == 0 {
		p.nodes[name] = uint64(len(p.nodes) + 2)
	}
	return p.nodes[name]
}

// victim says whether a thread is one of ivtd's. Others close files, too: this process, and its children when they begin.
func victim(thread uint32) bool {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", thread))
	return string(name) == "ivtd\n"
}

// init answers FUSE_INIT in version 7.31.
func (p *tarpit) init() []byte {
	out := make([]byte, 64)
	var flags uint32
	if p.cached {
		flags = fuseWritebackCache
	}
	for i, v := range []uint32{7, 31, 1 << 17, flags, 64 | 48<<16, 1 << 17, 1, 32} {
		binary.NativeEndian.PutUint32(out[4*i:], v)
	}
	return out
}

// attributes are those of struct fuse_attr.
func attributes(inode uint64) []byte {
	mode := uint32(unix.S_IFREG | 0o666)
	if inode == 1 {
		mode = unix.S_IFDIR | 0o777
	}
	b := words(inode, 0, 0, 0, 0, 0)
	for _, v := range []uint32{0, 0, 0, mode, 1, 0, 0, 0, 4096, 0} {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func words(all ...uint64) (b []byte) {
	for _, v := range all {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

func (p *tarpit) reply(unique uint64, errno unix.Errno, out []byte) {
	b := make([]byte, 16, 16+len(out))
	binary.NativeEndian.PutUint32(b, uint32(16+len(out)))
	binary.NativeEndian.PutUint32(b[4:], uint32(-int32(errno)))
	binary.NativeEndian.PutUint64(b[8:], unique)
	unix.Write(p.device, append(b, out...)) // ENOENT: whoever asked has been killed
}
