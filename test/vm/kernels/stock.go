package kernels

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// recipe is part of a folder's name: what is made of a package.
const recipe = "vmlinux, modules "

// stock returns the newest kernel of a series that Debian has.
func (g *Getter) stock(ctx context.Context, series string) (*Kernel, error) {
	key := fmt.Sprintf("%.4x", sha256.Sum256([]byte(recipe+strings.Join(Modules, " "))))
	dir, release := g.cached(series, key)
	if dir == "" || g.Update {
		var err error
		if dir, release, err = g.fetch(ctx, series, key, release); err != nil {
			return nil, fmt.Errorf("kernel %s: %w", series, err)
		}
	}
	return &Kernel{
		Name: series, Release: release,
		Image: filepath.Join(dir, "vmlinuz"), Modules: filepath.Join(dir, "modules"),
	}, nil
}

// fetch unpacks the newest kernel of a series, unless it is the one that is
// there already.
func (g *Getter) fetch(ctx context.Context, series, key, have string) (dir, release string, err error) {
	apt, err := g.apt(ctx)
	if err != nil {
		return "", "", err
	}
	names, err := apt.Names(ctx, "linux-")
	if err != nil {
		return "", "", err
	}
	release = newest(names, series)
	if release == "" {
		return "", "", fmt.Errorf("no linux-image-%s in Debian %s", series, strings.Join(Suites, ", "))
	}
	name := series + "-" + release + "-" + key
	if release == have {
		return filepath.Join(g.dir(), name), release, nil
	}
	// From 6.17 on the image package is empty and these two have the files.
	var pkgs []string
	for _, kind := range []string{"image", "binary", "modules"} {
		if p := "linux-" + kind + "-" + release + "-amd64"; slices.Contains(names, p) {
			pkgs = append(pkgs, p)
		}
	}
	dir, err = g.install(name, func(dir string) error { return g.unpackKernel(ctx, apt, pkgs, dir) })
	return dir, release, err
}

// apt gives the state of the kernels' suites with fresh lists.
func (g *Getter) apt(ctx context.Context) (*Apt, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lists != nil {
		return g.lists, nil
	}
	unlock, err := g.lock("apt")
	if err != nil {
		return nil, err
	}
	defer unlock()
	apt, err := NewApt(filepath.Join(g.Cache, "apt"), Suites...)
	if err != nil {
		return nil, err
	}
	g.say("fetching the package lists of Debian %s into %s", strings.Join(Suites, ", "), apt.dir)
	if err := apt.Update(ctx); err != nil {
		return nil, err
	}
	g.lists = apt
	return apt, nil
}

func (g *Getter) unpackKernel(ctx context.Context, apt *Apt, pkgs []string, dir string) error {
	root, err := g.unpack(ctx, apt, pkgs, filepath.Dir(dir))
	if err != nil {
		return err
	}
	image, err := one(root, "boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz")
	if err != nil {
		return err
	}
	if err := os.Rename(image, filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	if err := decompress(filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	tree, err := one(root, "lib/modules/*/kernel", "usr/lib/modules/*/kernel")
	if err != nil {
		return err
	}
	return pickModules(tree, filepath.Join(dir, "modules"), Modules)
}

// unpack downloads packages and unpacks them into a folder below tmp.
func (g *Getter) unpack(ctx context.Context, apt *Apt, pkgs []string, tmp string) (root string, err error) {
	root = filepath.Join(tmp, "root")
	sizes, err := apt.Fields(ctx, "Size", pkgs...)
	if err != nil {
		return "", err
	}
	total := 0
	for _, s := range sizes {
		n, _ := strconv.Atoi(s)
		total += n
	}
	g.say("fetching from Debian, %.1f MB: %s; unpacked into the cache, not installed", float64(total)/1e6, strings.Join(pkgs, " "))
	if err := apt.Download(ctx, tmp, pkgs...); err != nil {
		return "", err
	}
	debs, _ := filepath.Glob(filepath.Join(tmp, "*.deb"))
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("dpkg-deb -x %s: %w\n%s", filepath.Base(deb), err, out)
		}
		os.Remove(deb)
	}
	return root, nil
}

// one returns the file that the first matching pattern names.
func one(root string, patterns ...string) (string, error) {
	for _, p := range patterns {
		if m, _ := filepath.Glob(filepath.Join(root, p)); len(m) > 0 {
			return m[0], nil
		}
	}
	return "", fmt.Errorf("no %s in the packages", strings.Join(patterns, " or "))
}
