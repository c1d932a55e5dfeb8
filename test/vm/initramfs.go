package vm

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/ivtd/ivt/test/vm/cpio"
	"github.com/ivtd/ivt/test/vm/kernels"
	"github.com/ivtd/ivt/test/vm/kmod"
	"github.com/ivtd/ivt/test/vm/wire"
)

// load are the modules that every VM has loaded, where its kernel has them.
var load = []string{"virtio_pci", "virtio_console", "irqbypass", "vfio", "vfio_virqfd", "vfio_iommu_type1", "iommufd", "vfio-pci", "uio", "uio_pci_generic", "configfs"}

// base is what every VM has, besides tests.
type base struct {
	init, busybox string // paths
	applets       []string
}

// users are there so that tests can be several people.
const users = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
alice:x:1001:1001:first test user:/tmp:/bin/sh
bob:x:1002:1002:second test user:/tmp:/bin/sh
`

const groups = `root:x:0:
tty:x:5:
kmem:x:15:
nogroup:x:65534:
systemd-journal:x:999:
alice:x:1001:
bob:x:1002:
drivers:x:1010:alice,bob
`

func newBase(busybox, init string) (*base, error) {
	out, err := exec.Command(busybox, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("busybox --list-full: %w", err)
	}
	return &base{init: init, busybox: busybox, applets: strings.Fields(string(out))}, nil
}

// archive puts the first root file system together: what rootfs has, if it is
// not empty, and what it lacks.
func (b *base) archive(k *kernels.Kernel, rootfs string) (*cpio.Archive, error) {
	a := cpio.New()
	if rootfs != "" {
		if err := a.Tree("/", rootfs); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		a.Dir("usr/" + d)
		a.Link(d, "usr/"+d)
	}
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "root", "etc", "work/bin", "var/lib", "var/log"} {
		a.Dir(d)
	}
	a.Link("/var/run", "/run")
	a.Char("/dev/console", 0o600, 5, 1)
	a.Char("/dev/null", 0o666, 1, 3)
	for name, text := range map[string]string{
		"passwd": users, "group": groups, "hosts": "127.0.0.1 localhost\n", "hostname": "vm\n",
		"machine-id": "0123456789abcdef0123456789abcdef\n", "os-release": "ID=vm\nNAME=\"ivt test VM\"\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
	} {
		a.File("/etc/"+name, 0o644, []byte(text))
	}
	err := errors.Join(a.Copy("/init", b.init), a.Copy("/usr/bin/busybox", b.busybox))
	for _, applet := range append([]string{"/bin/vm"}, b.applets...) {
		target := "/usr/bin/busybox"
		if applet == "/bin/vm" {
			target = "/init"
		}
		if at := path.Join("/usr", strings.TrimPrefix(applet, "usr/")); !a.Has(at) {
			a.Link(at, target)
		}
	}
	if err != nil || k.Modules == "" {
		return a, err
	}
	return a, a.Tree(kmod.Dir, k.Modules)
}

// addTest adds a test with its testdata and files, and returns how to run it.
func addTest(a *cpio.Archive, t *unit, i int) (wire.Test, error) {
	dir := fmt.Sprintf("/work/%d-%s", i, path.Base(t.pkg.ImportPath))
	run := wire.Test{Name: t.pkg.ImportPath, Dir: dir, Path: path.Join(dir, "vm.test"), Args: t.args}
	if err := a.Copy(run.Path, t.binary); err != nil {
		return run, err
	}
	for _, p := range t.programs {
		if err := a.Copy(path.Join("/work/bin", filepath.Base(p)), p); err != nil {
			return run, err
		}
	}
	if err := t.host.add(a); err != nil {
		return run, err
	}
	for _, f := range t.files() {
		rel, err := filepath.Rel(t.pkg.Dir, f)
		if err != nil {
			return run, err
		}
		if strings.HasPrefix(rel, "..") {
			rel = filepath.Base(f)
		}
		if err := a.Copy(path.Join(dir, rel), f); err != nil {
			return run, err
		}
	}
	return run, nil
}

// seal writes the job into the archive and the archive to a file.
func seal(a *cpio.Archive, job wire.Job, file string) error {
	text, err := json.Marshal(job)
	if err != nil {
		return err
	}
	a.File(wire.JobFile, 0o644, text)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(a.Emit(w), w.Flush()); err != nil {
		return err
	}
	return f.Close()
}

// files lists the package's testdata and what its directives name.
func (t *unit) files() (all []string) {
	filepath.WalkDir(filepath.Join(t.pkg.Dir, "testdata"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, p)
		}
		return nil
	})
	for _, f := range t.pkg.files {
		all = append(all, filepath.Join(t.pkg.Dir, f))
	}
	return all
}

// hashFiles adds the content of files to a key.
func hashFiles(w io.Writer, files ...string) error {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s %x\n", filepath.Base(name), h.Sum(nil))
	}
	return nil
}
