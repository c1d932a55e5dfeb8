package kernels

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Own names the kernel that is built here.
const Own = "own"

// Matrix lists the kernels that `make test-vm` boots.
var Matrix = []string{"6.1", "6.12", "7", Own}

// Kernel is a bootable kernel in the cache.
type Kernel struct {
	Name    string // as it was asked for: "6.1"
	Release string // what uname -r says, less the flavour: "6.1.0-50"
	Image   string // path of the compressed kernel image
	Modules string // folder of uncompressed .ko files, empty for [Own]
}

// Getter gets kernels. The zero value is not usable: Log and Cache are needed.
type Getter struct {
	Cache  string    // folder of the cache, see [DefaultCache]
	Config string    // path of the configuration fragment of [Own]
	Update bool      // ask Debian even if the cache has a kernel of that name
	Log    io.Writer // is told what will be fetched or built before it is

	mu    sync.Mutex
	lists *Apt // once they are fresh
}

// DefaultCache returns the folder that all of ivt's tests cache in.
func DefaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "ivt"), err
}

// Get returns the kernel of that name, fetching or building it if the cache
// lacks it. Only one caller at a time does so, of all processes.
func (g *Getter) Get(ctx context.Context, name string) (*Kernel, error) {
	unlock, err := g.lock(name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if name == Own {
		return g.own(ctx)
	}
	return g.stock(ctx, name)
}

func (g *Getter) lock(what string) (func(), error) {
	if err := os.MkdirAll(g.dir(), 0o755); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(g.dir(), what+".lock"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

func (g *Getter) dir() string { return filepath.Join(g.Cache, "kernels") }

func (g *Getter) say(format string, args ...any) {
	fmt.Fprintf(g.Log, "vm: "+format+"\n", args...)
}

// cached returns the newest complete folder called prefix-RELEASE-key.
func (g *Getter) cached(prefix, key string) (dir, release string) {
	dirs, _ := filepath.Glob(filepath.Join(g.dir(), prefix+"-*-"+key))
	for _, d := range dirs {
		r := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(d), prefix+"-"), "-"+key)
		if release == "" || newer(r, release) {
			dir, release = d, r
		}
	}
	return dir, release
}

// install runs fill on an empty folder and gives the folder its name only if
// that went well.
func (g *Getter) install(name string, fill func(dir string) error) (string, error) {
	tmp, err := os.MkdirTemp(g.dir(), "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return "", err
	}
	if err := fill(out); err != nil {
		return "", err
	}
	final := filepath.Join(g.dir(), name)
	return final, os.Rename(out, final)
}
