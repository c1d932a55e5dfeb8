package host_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/irq"
)

type entry struct {
	name, data, link string
	kind             byte
}

func tarOf(t *testing.T, entries ...entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Mode: 0o444, Size: int64(len(e.data)), Typeflag: e.kind}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, e.data)
	}
	w.Close()
	return b.Bytes()
}

func zipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

const table = "           CPU0       CPU1       \n  1:          1          2  IO-APIC   1-edge      i8042\n"

func TestOpenRefuses(t *testing.T) {
	whole := zipped(tarOf(t, entry{name: "proc/interrupts", data: table}))
	bomb := zipped(make([]byte, 1<<20)) // not yet one, but no tar
	for _, c := range []struct {
		name   string
		file   []byte
		detail string
	}{
		{"empty", nil, "it is empty"},
		{"text", []byte("hello\n"), "neither a tar nor a copy"},
		{"zeros", bomb, "neither a tar nor a copy"},
		{"truncated gzip", whole[:len(whole)/2], "unexpected EOF"},
		{"xz", []byte("\xfd7zXZ\x00\x00"), "xz -d"},
		{"zstd", []byte("\x28\xb5\x2f\xfd\x00\x00"), "zstd -d"},
		{"no interrupts", tarOf(t, entry{name: "proc/softirqs", data: table}), "no proc/interrupts"},
		{"path traversal", tarOf(t, entry{name: "proc/interrupts", data: table}, entry{name: "proc/../../etc/shadow", data: "x"}), "outside itself"},
		{"twice", tarOf(t, entry{name: "proc/interrupts", data: table}, entry{name: "proc/interrupts", data: table}), "there twice"},
		{"below a file", tarOf(t, entry{name: "proc/interrupts", data: table}, entry{name: "proc/interrupts/x", data: "x"}), "no directory"},
		{"below a link", tarOf(t, entry{name: "proc/interrupts", data: table}, entry{name: "sys/a", link: "/etc", kind: tar.TypeSymlink}, entry{name: "sys/a/x", data: "x"}), "no directory"},
		{"cut tar", tarOf(t, entry{name: "proc/interrupts", data: strings.Repeat(table, 100)})[:1024], "damaged archive"},
	} {
		_, err := host.OpenReader(c.name, bytes.NewReader(c.file))
		if !errors.Is(err, irq.ErrInvalidParameter) || !strings.Contains(err.Error(), c.detail) {
			t.Errorf("%s: %v, want %q", c.name, err, c.detail)
		}
	}
}

// zeros is a reader without end.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.n += int64(len(p))
	return len(p), nil
}

func TestOpenRefusesABomb(t *testing.T) {
	head := tarOf(t, entry{name: "proc/interrupts", data: table})
	var h bytes.Buffer
	w := tar.NewWriter(&h)
	if err := w.WriteHeader(&tar.Header{Name: "other/large", Size: 1 << 40, Mode: 0o444, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	endless := &zeros{}
	_, err := host.OpenReader("bomb", io.MultiReader(bytes.NewReader(head[:1024]), &h, endless))
	if err == nil || !strings.Contains(err.Error(), "unpacks to more than") || endless.n > 2<<30 {
		t.Errorf("%v after %d bytes", err, endless.n)
	}
}

func TestLinksOfAnArchive(t *testing.T) {
	r, err := host.OpenReader("links", bytes.NewReader(tarOf(t, entry{name: "proc/interrupts", data: table},
		entry{name: "proc/softirqs", link: "../../../../etc/passwd", kind: tar.TypeSymlink},
		entry{name: "proc/stat", link: "/etc/passwd", kind: tar.TypeSymlink},
		entry{name: "proc/cmdline", link: "cmdline", kind: tar.TypeSymlink},
		entry{name: "proc/sys/kernel/osrelease", link: "../../version", kind: tar.TypeSymlink},
		entry{name: "proc/version", data: "6.18\n"},
		entry{name: "dev/null", kind: tar.TypeChar},
	)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Read(context.Background(), host.Options{Parts: host.PartAll})
	if err != nil || m.Kernel != "6.18" || m.Softirqs != nil {
		t.Errorf("%v: kernel %q, softirqs %v", err, m.Kernel, m.Softirqs)
	}
}

func TestOpenForms(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	for _, name := range []string{
		write("bare", []byte(table)),
		write("bare.gz", zipped([]byte(table))),
		write("plain.tar", tarOf(t, entry{name: "./proc/interrupts", data: table})),
		write("support.tar.gz", zipped(tarOf(t, entry{name: "report-1/", kind: tar.TypeDir}, entry{name: "report-1/version.txt", data: "x"}, entry{name: "report-1/proc/interrupts", data: table}))),
	} {
		r, err := host.Open(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := r.Read(context.Background(), host.Options{Parts: host.PartAll})
		if err != nil || len(m.IRQs) != 1 || m.IRQs[0].Total != 3 || r.Live() {
			t.Errorf("%s: %v %+v", name, err, m)
		}
	}
	os.Mkdir(dir+"/proc", 0o755)
	for name, detail := range map[string]string{dir: "no proc/interrupts", dir + "/nothing": "cannot be opened", "/dev/null": "neither a file nor a directory"} {
		if _, err := host.Open(name); !errors.Is(err, irq.ErrInvalidParameter) || !strings.Contains(err.Error(), detail) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write("interrupts", []byte(table))
	if _, err := host.Open(dir); err == nil || !strings.Contains(err.Error(), "copy of /proc") {
		t.Error(err)
	}
}

func TestMachineWithoutTable(t *testing.T) {
	r, err := host.OpenReader("no table", bytes.NewReader(tarOf(t, entry{name: "proc/interrupts", data: "\x00\x00nothing\n"})))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(context.Background(), host.Options{}); !errors.Is(err, irq.ErrInvalidParameter) || !strings.Contains(err.Error(), "CPU names") {
		t.Error(err)
	}
	if _, err := r.Who(context.Background(), "1"); !errors.Is(err, irq.ErrInvalidParameter) {
		t.Error(err)
	}
	if err := r.Save(context.Background(), io.Discard); err != nil {
		t.Error("a broken file is worth saving as it is:", err)
	}
}
