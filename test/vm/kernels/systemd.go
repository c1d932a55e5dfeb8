package kernels

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Systemd returns a folder with systemd of a Debian suite ("bookworm" has
// version 252, "trixie" 257) and all that it needs: the root file system of a
// VM whose process 1 is systemd.
func (g *Getter) Systemd(ctx context.Context, suite string) (string, error) {
	unlock, err := g.lock("systemd-" + suite)
	if err != nil {
		return "", err
	}
	defer unlock()
	key := fmt.Sprintf("%s-%.4x", suite, sha256.Sum256([]byte(strings.Join(pruned, " "))))
	if dir, _ := g.cached("systemd", key); dir != "" && !g.Update {
		return dir, nil
	}
	// The suite's own state: the newest of several suites do not fit together.
	apt, err := NewApt(filepath.Join(g.Cache, "apt-"+suite), suite)
	if err != nil {
		return "", err
	}
	g.say("fetching the package list of Debian %s into %s", suite, apt.dir)
	if err := apt.Update(ctx); err != nil {
		return "", err
	}
	version, err := apt.Version(ctx, "systemd")
	if err != nil {
		return "", err
	}
	name := "systemd-" + version + "-" + key
	if _, err := os.Stat(filepath.Join(g.dir(), name)); err == nil {
		return filepath.Join(g.dir(), name), nil
	}
	pkgs, err := apt.Closure(ctx, "systemd")
	if err != nil {
		return "", err
	}
	return g.install(name, func(dir string) error { return g.unpackRoot(ctx, apt, pkgs, dir) })
}

// pruned is what no test looks at, two thirds of the packages' size.
var pruned = []string{
	"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/bash-completion",
	"usr/share/zsh", "usr/share/bug", "usr/share/perl5", "usr/share/i18n", "usr/share/polkit-1", "usr/share/mime",
	"usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/ossl-modules", "usr/lib/x86_64-linux-gnu/engines-3",
	"usr/lib/systemd/boot", "usr/lib/systemd/systemd-networkd", "lib/systemd/systemd-networkd", "lib/systemd/catalog", "lib/udev/hwdb.d", "usr/lib/systemd/catalog", "usr/lib/udev/hwdb.d", "usr/lib/locale", "var",
}

func (g *Getter) unpackRoot(ctx context.Context, apt *Apt, pkgs []string, dir string) error {
	root, err := g.unpack(ctx, apt, pkgs, filepath.Dir(dir))
	if err != nil {
		return err
	}
	for _, p := range pruned {
		if err := os.RemoveAll(filepath.Join(root, p)); err != nil {
			return err
		}
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := mergeUsr(ctx, root, d); err != nil {
			return err
		}
	}
	if err := os.Remove(dir); err != nil {
		return err
	}
	return os.Rename(root, dir)
}

// mergeUsr makes /bin and the like links, as any installed Debian has them;
// until bookworm packages had files there.
func mergeUsr(ctx context.Context, root, d string) error {
	from, to := filepath.Join(root, d), filepath.Join(root, "usr", d)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(from); err == nil {
		if out, err := exec.CommandContext(ctx, "cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
			return fmt.Errorf("cp: %w\n%s", err, out)
		}
		if err := os.RemoveAll(from); err != nil {
			return err
		}
	}
	return os.Symlink("usr/"+d, from)
}
