package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ivtd/ivt/test/vm/kernels"
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
// shell in it.
func Shell(ctx context.Context, o Options) error {
	return interactive(ctx, o, func(s *suite, k *kernels.Kernel) error {
		fmt.Fprintf(o.Log, "vm: booting Linux %s; Ctrl-a x ends it by force\n", k.Release)
		m := s.plain(k)
		m.shell = true
		if err := s.pack(ctx, m, wire.Job{Load: load, Shell: true}, ""); err != nil {
			return err
		}
		return m.boot(ctx, &kernelLog{}, func(wire.Frame) {})
	})
}

// Script runs a shell script in the first kernel of o, with arguments, and
// copies what it prints to out. An error says how it ended, if not with 0.
func Script(ctx context.Context, o Options, out io.Writer, script string, args ...string) error {
	return interactive(ctx, o, func(s *suite, k *kernels.Kernel) error {
		fmt.Fprintf(o.Log, "vm: booting Linux %s\n", k.Release)
		const inside = "/work/script"
		m := s.plain(k)
		run := wire.Test{Name: script, Path: "/bin/sh", Dir: "/work", Args: append([]string{inside}, args...)}
		if err := s.pack(ctx, m, wire.Job{Load: load, Tests: []wire.Test{run}}, script); err != nil {
			return err
		}
		err := errors.New("the VM stopped before the script ended")
		var log kernelLog
		booted := m.boot(ctx, &log, func(f wire.Frame) {
			out.Write(f.Out)
			if f.Exit != nil && f.Exit.Status == 0 {
				err = nil
			} else if f.Exit != nil {
				err = fmt.Errorf("%s: exit status %d", script, f.Exit.Status)
			}
		})
		if faults, _ := log.take(); faults != nil {
			err = fmt.Errorf("the kernel reported a fault:\n%s", strings.Join(faults, "\n"))
		}
		return errors.Join(booted, err)
	})
}

// interactive prepares a suite of one machine.
func interactive(ctx context.Context, o Options, run func(*suite, *kernels.Kernel) error) error {
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
	runtime.LockOSThread() // QEMU dies with the thread that started it
	defer runtime.UnlockOSThread()
	return run(s, k)
}

func (s *suite) plain(k *kernels.Kernel) *machine {
	return &machine{kernel: k, dir: s.tmp, initramfs: filepath.Join(s.tmp, "initramfs"), memory: s.Memory, icount: s.Instructions}
}

// pack makes the machine's initramfs with the programs of the options,
// and a script.
func (s *suite) pack(ctx context.Context, m *machine, job wire.Job, script string) error {
	a, err := s.base.archive(m.kernel, "")
	if err != nil {
		return err
	}
	for _, p := range s.Programs {
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
	if script != "" {
		if err := a.Copy("/work/script", script); err != nil {
			return err
		}
	}
	return seal(a, job, m.initramfs)
}
