package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/ivtd/ivt/test/vm/wire"
)

// Fetch gets the kernels into the cache and runs nothing.
func Fetch(ctx context.Context, o Options) error {
	if err := o.defaults(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "ivt-vm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	s, err := prepare(ctx, o, tmp)
	if err != nil {
		return err
	}
	for _, name := range o.Kernels {
		if _, err := s.getter.Get(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// Shell boots the first kernel of o and gives the person at the terminal a
// shell in it. Packages are programs of this module to have in its PATH.
func Shell(ctx context.Context, o Options) error {
	programs := o.Packages
	if err := o.defaults(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "ivt-vm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	s, err := prepare(ctx, o, tmp)
	if err != nil {
		return err
	}
	k, err := s.getter.Get(ctx, o.Kernels[0])
	if err != nil {
		return err
	}
	m := &machine{kernel: k, dir: tmp, initramfs: filepath.Join(tmp, "initramfs"), memory: s.Memory, shell: true}
	a, err := s.base.archive(k, "")
	if err != nil {
		return err
	}
	for _, p := range programs {
		built, err := s.builder.program(ctx, p)
		if err != nil {
			return err
		}
		for _, file := range built {
			if err := a.Copy(path.Join("/work/bin", filepath.Base(file)), file); err != nil {
				return err
			}
		}
	}
	if err := seal(a, wire.Job{Load: load, Shell: true}, m.initramfs); err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "vm: booting Linux %s; Ctrl-a x ends it by force\n", k.Release)
	err = m.boot(ctx, &kernelLog{}, func(wire.Frame) {})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
