package kernels

import (
	"context"
	"os"
	"path/filepath"
)

// Busybox returns the path of a statically linked busybox, fetched into the cache
// once.
func (g *Getter) Busybox(ctx context.Context) (string, error) {
	unlock, err := g.lock("busybox")
	if err != nil {
		return "", err
	}
	defer unlock()
	const debian = "bin/busybox"
	if dir, _ := g.cached("busybox", "static"); dir != "" {
		return filepath.Join(dir, debian), nil
	}
	apt, err := g.apt(ctx)
	if err != nil {
		return "", err
	}
	dir, err := g.install("busybox-1-static", func(dir string) error {
		root, err := g.unpack(ctx, apt, []string{"busybox-static"}, filepath.Dir(dir))
		if err != nil {
			return err
		}
		found, err := one(root, "bin/busybox", "usr/bin/busybox")
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
			return err
		}
		return os.Rename(found, filepath.Join(dir, debian))
	})
	return filepath.Join(dir, debian), err
}
