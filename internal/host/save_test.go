package host_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/host"
	"github.com/ivtd/ivt/internal/host/hosttest"
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
