package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// OwnSeries is the series of the kernel that is built here.
const OwnSeries = "6.12"

// BuildNeeds maps the programs that a kernel build needs to the Debian
// packages that have them.
var BuildNeeds = map[string]string{
	"gcc": "gcc", "make": "make", "flex": "flex", "bison": "bison", "bc": "bc",
	"xz": "xz-utils", "/usr/include/gelf.h": "libelf-dev",
}

// own returns the kernel of the configuration fragment, built once.
func (g *Getter) own(ctx context.Context) (*Kernel, error) {
	config, err := os.ReadFile(g.Config)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("%.4x", sha256.Sum256(config))
	dir, release := g.cached(Own, key)
	if dir == "" {
		if dir, release, err = g.build(ctx, key); err != nil {
			return nil, fmt.Errorf("own kernel: %w", err)
		}
	}
	return &Kernel{Name: Own, Release: release, Image: filepath.Join(dir, "vmlinuz")}, nil
}

func (g *Getter) build(ctx context.Context, key string) (dir, release string, err error) {
	if err := buildNeeds(); err != nil {
		return "", "", err
	}
	apt, err := g.apt(ctx)
	if err != nil {
		return "", "", err
	}
	pkg := "linux-source-" + OwnSeries
	if release, err = apt.Version(ctx, pkg); err != nil {
		return "", "", err
	}
	dir, err = g.install(Own+"-"+release+"-"+key, func(dir string) error {
		tmp := filepath.Dir(dir)
		root, err := g.unpack(ctx, apt, []string{pkg}, tmp)
		if err != nil {
			return err
		}
		tree, err := unpackSource(ctx, root, tmp)
		if err != nil {
			return err
		}
		g.say("building Linux %s with %s; it takes some minutes once and is kept in %s", release, g.Config, g.dir())
		return g.compile(ctx, tree, filepath.Join(dir, "vmlinuz"))
	})
	return dir, release, err
}

func buildNeeds() error {
	var missing []string
	for need, pkg := range BuildNeeds {
		_, err := exec.LookPath(need)
		if strings.HasPrefix(need, "/") {
			_, err = os.Stat(need)
		}
		if err != nil {
			missing = append(missing, pkg)
		}
	}
	if missing != nil {
		return fmt.Errorf("building needs more of Debian; try: apt-get install %s", strings.Join(missing, " "))
	}
	return nil
}

// unused are parts of the source that the configuration cannot reach: half of
// what would be unpacked. Their Kconfig files and Makefiles are needed.
var unused = []string{
	"*/arch/a*/*.[chS]", "*/drivers/gpu/*.[ch]", "*/drivers/net/wireless/*.[ch]",
	"*/drivers/media/*.[ch]", "*/sound/*.[ch]", "*/Documentation/*.rst", "*/tools/testing/*",
}

func unpackSource(ctx context.Context, root, tmp string) (string, error) {
	tarball, err := one(root, "usr/src/linux-source-*.tar.xz")
	if err != nil {
		return "", err
	}
	tree := filepath.Join(tmp, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return "", err
	}
	args := []string{"-xf", tarball, "-C", tree, "--strip-components=1", "--wildcards"}
	for _, u := range unused {
		args = append(args, "--exclude="+u)
	}
	if out, err := exec.CommandContext(ctx, "tar", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, out)
	}
	return tree, os.Remove(tarball)
}

func (g *Getter) compile(ctx context.Context, tree, image string) error {
	start := time.Now()
	fragment, err := os.ReadFile(g.Config)
	if err != nil {
		return err
	}
	if err := makeIn(ctx, tree, "tinyconfig"); err != nil {
		return err
	}
	config := filepath.Join(tree, ".config")
	tiny, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, append(tiny, fragment...), 0o644); err != nil {
		return err
	}
	if err := makeIn(ctx, tree, "olddefconfig"); err != nil {
		return err
	}
	got, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if lost := dropped(fragment, got); lost != nil {
		return fmt.Errorf("%s: this kernel does not take %s", g.Config, strings.Join(lost, ", "))
	}
	if err := makeIn(ctx, tree, "-j"+strconv.Itoa(runtime.NumCPU()), "bzImage"); err != nil {
		return err
	}
	g.say("built in %s", time.Since(start).Round(time.Second))
	return os.Rename(filepath.Join(tree, "arch/x86/boot/bzImage"), image)
}

var setting = regexp.MustCompile(`(?m)^CONFIG_\w+=.*[^n\n]$`)

// dropped lists the lines of the fragment that olddefconfig did not keep,
// because something that they depend on is missing.
func dropped(fragment, config []byte) (lost []string) {
	for _, line := range setting.FindAll(fragment, -1) {
		if !bytes.Contains(config, append(append([]byte("\n"), line...), '\n')) {
			lost = append(lost, string(line))
		}
	}
	return lost
}

func makeIn(ctx context.Context, tree string, args ...string) error {
	// The build is reproducible if it is told who and when it is.
	args = append([]string{"-n", "10", "make", "-s", "-C", tree,
		"KBUILD_BUILD_TIMESTAMP=@0", "KBUILD_BUILD_USER=ivt", "KBUILD_BUILD_HOST=ivt"}, args...)
	out, err := exec.CommandContext(ctx, "nice", args...).CombinedOutput()
	if err != nil {
		if len(out) > 4000 {
			out = out[len(out)-4000:]
		}
		return fmt.Errorf("make %s: %w\n%s", args[len(args)-1], err, out)
	}
	return nil
}
