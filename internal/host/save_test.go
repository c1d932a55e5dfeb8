package host_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
	"github.com/ivtd/ivt/irq"
)

var trees = []string{"x86-4.9", "x86-6.1", "x86-6.18", "arm64", "riscv", "powerpc", "s390"}

func save(t testing.TB, r *host.Root) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Save(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSavedMachineReadsTheSame(t *testing.T) {
	for _, name := range trees {
		first := hosttest.Open(t, "testdata/"+name+".tree")
		archive := save(t, first)
		second, err := host.OpenReader("saved", bytes.NewReader(archive))
		if err != nil {
			t.Fatal(err)
		}
		parts := host.Options{Parts: host.PartAll &^ host.PartNames}
		a, err := first.Read(context.Background(), parts)
		b, err2 := second.Read(context.Background(), parts)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		a.Blind, b.Blind = nil, nil // they name their machines
		want := strings.ReplaceAll(asJSON(t, a), "enx001122aabbcc", "enx0")
		if d := cmp.Diff(want, asJSON(t, b)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if !bytes.Equal(archive, save(t, first)) || !bytes.Equal(archive, save(t, second)) {
			t.Errorf("%s: the same machine, saved again, gives other bytes", name)
		}
	}
}

func TestSavedMachineHasNoSecrets(t *testing.T) {
	z, err := gzip.NewReader(bytes.NewReader(save(t, hosttest.Open(t, "testdata/x86-6.1.tree"))))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{
		"a command line": "password", "an environment": "SECRET", "an address": "00:11:22:33:44:55", "an address in a name": "001122aabbcc",
		"a host name": "secret-host", "a parameter of others": "hunter2", "the root device": "8f1e2d3c", "another descriptor": "alice",
		"a process that holds nothing": "proc/5000",
	} {
		if bytes.Contains(unpacked, []byte(secret)) {
			t.Errorf("%s is in the archive: %s", what, secret)
		}
	}
	for _, needed := range []string{"proc/4711/fd/4", "/dev/vfio/12", "proc/501/stat", "isolcpus=managed_irq,domain,3"} {
		if !bytes.Contains(unpacked, []byte(needed)) {
			t.Errorf("%s is not in the archive", needed)
		}
	}
}

// unpack writes a tree to disk, as tar -x would.
func unpack(t *testing.T, name string) string {
	text, err := os.ReadFile("testdata/" + name + ".tree")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range hosttest.Files(string(text)) {
		at := filepath.Join(dir, f.Name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		switch {
		case err != nil:
		case f.Link != "":
			err = os.Symlink(f.Link, at)
		case strings.HasSuffix(f.Name, "/"):
			err = os.MkdirAll(at, 0o755)
		default:
			err = os.WriteFile(at, []byte(f.Data), os.FileMode(f.Mode))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDirectoryReadsTheSame(t *testing.T) {
	for _, name := range trees {
		r, err := host.Open(unpack(t, name))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := r.Read(context.Background(), host.Options{Parts: host.PartAll &^ host.PartNames})
		if err != nil {
			t.Fatal(err)
		}
		want := read(t, name, host.PartAll&^host.PartNames)
		want.Blind, got.Blind = nil, nil
		if d := cmp.Diff(asJSON(t, want), asJSON(t, got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestLinksDoNotLeadOutOfADirectory(t *testing.T) {
	dir := unpack(t, "riscv")
	for _, name := range []string{"proc/softirqs", "proc/stat"} {
		os.Remove(dir + "/" + name)
		if err := os.Symlink("/etc/passwd", dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	r, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m, err := r.Read(context.Background(), host.Options{Parts: host.PartSystem})
	if err != nil || len(m.Softirqs) != 0 || !m.Booted.IsZero() {
		t.Errorf("%v %+v", err, m)
	}
}

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

func at(m *host.Machine, seconds int) *host.Machine {
	m.Taken = time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC)
	return m
}

func machine(t *testing.T, seconds int, interrupts string) *host.Machine {
	t.Helper()
	m, err := hosttest.OpenText(t, "== proc/interrupts\n"+interrupts).Read(context.Background(), host.Options{Parts: host.PartCounts})
	if err != nil {
		t.Fatal(err)
	}
	return at(m, seconds)
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		seconds             int
		want                string // of the last irq or row
	}{
		{"plain", "CPU0 CPU1\n 1: 10 20 x 1-edge y\n", "CPU0 CPU1\n 1: 110 30 x 1-edge y\n", 10, "11 [10 1]"},
		{"one CPU wraps", "CPU0 CPU1\n 1: 4294967290 20 x\n", "CPU0 CPU1\n 1: 4 20 x\n", 10, "1 [1 0]"},
		{"both wrap", "CPU0 CPU1\n 1: 4294967295 4294967286 x\n", "CPU0 CPU1\n 1: 9 0 x\n", 10, "2 [1 1]"},
		{"a CPU came", "CPU0 CPU1\n 1: 10 20 x\n", "CPU0 CPU1 CPU2\n 1: 20 20 500 x\n", 10, "1 [1 0]"},
		{"a CPU went, columns shift", "CPU0 CPU1 CPU2\n 1: 10 999 30 x\n", "CPU0 CPU2\n 1: 20 40 x\n", 10, "2 [1 1]"},
		{"requested anew", "CPU0 CPU1\n 1: 1000 20 x\n", "CPU0 CPU1\n 1: 5 0 x\n", 10, "restarted"},
		{"another chip", "CPU0 CPU1\n 1: 10 20 PCI-MSI 5-edge  y\n", "CPU0 CPU1\n 1: 20 20 PCI-MSI 6-edge  z\n", 10, "restarted"},
		{"fell after a day", "CPU0 CPU1\n 1: 1000 20 x\n", "CPU0 CPU1\n 1: 5 0 x\n", 86400, "uncertain"},
		{"wrapped after a day", "CPU0 CPU1\n 1: 4294967290 20 x\n", "CPU0 CPU1\n 1: 863994 20 x\n", 86400, "10 [10 0]"},
		{"misaligned", "CPU0 CPU1\n 1: 10 x\n", "CPU0 CPU1\n 1: 30 x\n", 10, "2 []"},
		{"one count for all", "CPU0 CPU1\nERR: 10\n", "CPU0 CPU1\nERR: 30\n", 10, "2 []"},
		{"second of two labels", "CPU0\nLOC: 10 a\nLOC: 20 b\n", "CPU0\nLOC: 10 a\nLOC: 40 b\n", 10, "2 [2]"},
	} {
		set, err := host.Rates(machine(t, 0, c.before), machine(t, c.seconds, c.after))
		if err != nil {
			t.Fatal(c.name, err)
		}
		all := append(set.IRQs, set.Rows...)
		r := all[len(all)-1]
		got := fmt.Sprint(r.Total, " ", r.PerCPU)
		switch {
		case r.Restarted:
			got = "restarted"
		case r.Uncertain:
			got = "uncertain"
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	m := machine(t, 5, "CPU0\n 1: 1 x\n")
	for _, other := range []*host.Machine{m, machine(t, 9, "CPU0\n 1: 1 x\n"), {}} {
		if _, err := host.Rates(other, m); !errors.Is(err, irq.ErrInvalidParameter) {
			t.Error("rates without time between:", err)
		}
	}
}

func TestDiff(t *testing.T) {
	const before, after = `== proc/interrupts
 CPU0 CPU1
 1: 1 0 IO-APIC 1-edge  i8042
 5: 1 0 IO-APIC 5-edge  old
 16: 1 0 IO-APIC 16-fasteoi  a, b
 25: 1 0 PCI-MSIX-0000:02:00.0 1-edge  vfio-msix[1](0000:02:00.0)
 26: 1 0 PCI-MSIX-0000:02:00.0 2-edge  q2
== proc/irq/1/smp_affinity_list
0-1
== proc/irq/1/effective_affinity_list
0
== sys/bus/pci/devices/0000:02:00.0 driver=vfio-pci iommu_group=9 msi_irqs=25:msix 26:msix
== proc/70 comm=first start=7 fd=/dev/vfio/9
`, `== proc/interrupts
 CPU0 CPU1
 1: 9 0 IO-APIC 1-edge  i8042
 7: 0 0 IO-APIC 7-edge  new
 16: 1 0 IO-APIC 16-fasteoi  b, c
 25: 1 0 PCI-MSIX-0000:02:00.0 1-edge  vfio-msix[1](0000:02:00.0)
 29: 1 0 PCI-MSIX-0000:02:00.0 2-edge  q2
== proc/irq/1/smp_affinity_list
1
== proc/irq/1/effective_affinity_list
1
== sys/bus/pci/devices/0000:02:00.0 driver=vfio-pci iommu_group=9 msi_irqs=25:msix 29:msix
== proc/71 comm=second start=8 fd=/dev/vfio/9
`
	full := func(text string, seconds int) *host.Machine {
		m, err := hosttest.OpenText(t, text).Read(context.Background(), host.Options{Parts: host.PartAll})
		if err != nil {
			t.Fatal(err)
		}
		return at(m, seconds)
	}
	d := host.Diff(full(before, 0), full(after, 4))
	want := []host.Change{
		{What: "asked", IRQ: 1, Name: "irq:1", Before: "0-1", After: "1"},
		{What: "moved", IRQ: 1, Name: "irq:1", Before: "0", After: "1"},
		{What: "vanished", IRQ: 5, Name: "irq:5", Before: "old, IO-APIC 5"},
		{What: "appeared", IRQ: 7, Name: "irq:7", After: "new, IO-APIC 7"},
		{What: "handler", IRQ: 16, Name: "irq:16", Before: "a, b", After: "b, c"},
		{What: "holder", IRQ: 25, Name: "pci:0000:02:00.0/msix/1", Before: "pid 70 (first)", After: "pid 71 (second)"},
		{What: "renumbered", IRQ: 29, Name: "pci:0000:02:00.0/msix/2", Before: "irq 26", After: "irq 29"},
	}
	if diff := cmp.Diff(want, d.Changes); diff != "" {
		t.Error(diff)
	}
	if d.Rates == nil || d.Rates.IRQs[0].Total != 2 {
		t.Errorf("%+v", d.Rates)
	}
	if d := host.Diff(full(before, 0), full(before, 0)); len(d.Changes) != 0 || d.Rates != nil || len(d.Notes) != 1 {
		t.Errorf("of one machine with itself: %+v", d)
	}
}

func TestSelect(t *testing.T) {
	m := read(t, "x86-6.1", host.PartAll)
	three, two := 3, 2
	for _, c := range []struct {
		name string
		f    host.Filter
		want string
	}{
		{"all held", host.Filter{Held: true, Driver: "nvme"}, "124 125"},
		{"free", host.Filter{Free: true}, "140"},
		{"pid", host.Filter{PID: 4711}, "126"},
		{"thread", host.Filter{PID: 501}, "122"},
		{"unit", host.Filter{Unit: "nic-worker@1.service"}, "126"},
		{"handler", host.Filter{Driver: "acpi"}, "9"},
		{"driver of a shared line", host.Filter{Driver: "ehci-pci"}, "16"},
		{"fired on a CPU", host.Filter{CPU: &three}, "9 16 126 128 129 130 131"},
		{"an offline CPU", host.Filter{CPU: &two}, ""},
		{"interface", host.Filter{Target: "eth0"}, "127 128 129 130"},
		{"interface and CPU", host.Filter{Target: "eth0", CPU: &three}, "128 129 130"},
		{"disk", host.Filter{Target: "/dev/nvme0n1"}, "124 125"},
		{"address", host.Filter{Target: "3b:00.0"}, "126 140"},
		{"vector", host.Filter{Target: "pci:0000:3b:00.0/msix/2"}, "126"},
		{"number", host.Filter{Target: "irq:9"}, "9"},
		{"uio", host.Filter{Target: "uio0"}, "19"},
	} {
		chosen, err := m.Select(c.f)
		var got []string
		for _, q := range chosen {
			got = append(got, fmt.Sprint(q.Number))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v %v, want %s", c.name, got, err, c.want)
		}
	}
	if _, err := m.Select(host.Filter{Target: "eth7"}); !errors.Is(err, irq.ErrNoSuchDevice) {
		t.Error(err)
	}
	if _, err := m.Select(host.Filter{Held: true, Free: true}); !errors.Is(err, irq.ErrInvalidParameter) {
		t.Error(err)
	}
}
