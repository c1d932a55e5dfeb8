// Package hosttest makes machines for tests out of one readable text.
//
// The text is a list of files. A line "== NAME" begins one, "== NAME (444)" with its mode, and the lines up to the next "== "
// are what is in it; "== NAME -> TARGET" is a link and "== NAME/" an empty directory. A PCI function can be
// said in one line, which makes the link in /sys/bus/pci/devices, the files and the links of its own:
//
//	== sys/bus/pci/devices/0000:3b:00.0 class=0x020000 driver=vfio-pci iommu_group=12 msi_irqs=26:msix 27:msix
//
// A process too: its descriptors are numbered from 3 on, "fd=TARGET|INFO" has the fdinfo, with ; for newlines:
//
//	== proc/4711 comm=nicd start=81234 uid=1000 gid=1000 cgroup=/system.slice/nicd.service fd=/dev/vfio/12 fd=anon_inode:[vfio-device]
package hosttest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/ivtd/ivt/internal/host"
)

// Open reads a text file and opens the machine in it.
func Open(t testing.TB, file string) *host.Root {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return OpenText(t, string(text))
}

// OpenText opens the machine in a text.
func OpenText(t testing.TB, text string) *host.Root {
	t.Helper()
	r, err := host.OpenReader("the test machine", bytes.NewReader(Tar(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Tar makes the archive that host.Open reads.
func Tar(text string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range Files(text) {
		h := tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(f.Data)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		switch {
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.Link, 0
		case strings.HasSuffix(f.Name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(&h); err != nil {
			panic(err) // a test wrote a name that no tar can have
		}
		if _, err := w.Write([]byte(f.Data)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// A File is one entry of a machine: a regular file, a link, or a directory whose name ends with a slash.
type File struct {
	Name, Data, Link string
	Mode             int64
}

// Files takes a text apart.
func Files(text string) (files []File) {
	for section := range strings.SplitSeq("\n"+text, "\n== ") {
		head, data, _ := strings.Cut(section, "\n")
		if head == "" {
			continue
		}
		name, rest, _ := strings.Cut(head, " ")
		switch {
		case strings.HasPrefix(rest, "-> "):
			files = append(files, File{Name: name, Link: rest[3:]})
		case strings.Contains(rest, "=") && strings.HasPrefix(name, "proc/"):
			files = append(files, processFiles(name, strings.Fields(rest))...)
		case strings.Contains(rest, "="):
			files = append(files, pciFiles(name, strings.Fields(rest))...)
		default:
			f := File{Name: name, Data: data, Mode: 0o444}
			if mode, err := strconv.ParseInt(strings.Trim(rest, "()"), 8, 32); err == nil {
				f.Mode = mode
			}
			if f.Data != "" && !strings.HasSuffix(f.Data, "\n") {
				f.Data += "\n"
			}
			files = append(files, f)
		}
	}
	return files
}

// pciFiles writes one PCI function as sysfs has it.
func pciFiles(name string, words []string) []File {
	address := path.Base(name)
	dir := "sys/devices/pci" + address[:7] + "/" + address + "/"
	files := []File{{Name: name, Link: "../../../" + strings.TrimPrefix(strings.TrimSuffix(dir, "/"), "sys/")}}
	for _, word := range words {
		key, value, pair := strings.Cut(word, "=")
		switch {
		case key == "driver":
			files = append(files, File{Name: dir + key, Link: "../../../bus/pci/drivers/" + value})
		case key == "iommu_group":
			files = append(files, File{Name: dir + key, Link: "../../../kernel/iommu_groups/" + value})
		case key == "msi_irqs" || !pair: // the first of the irqs, or a further one
			irq, kind, _ := strings.Cut(word[strings.IndexByte(word, '=')+1:], ":")
			files = append(files, File{Name: dir + "msi_irqs/" + irq, Data: kind + "\n", Mode: 0o444})
		default:
			files = append(files, File{Name: dir + key, Data: value + "\n", Mode: 0o444})
		}
	}
	return files
}

// processFiles writes one process as /proc has it. A comm may not have blanks here.
func processFiles(name string, words []string) []File {
	p := map[string]string{"comm": "x", "ppid": "1", "start": "1", "uid": "0", "gid": "0", "cgroup": "/", "priority": "0", "policy": "0"}
	var files []File
	number := 3
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if key != "fd" {
			p[key] = value
			continue
		}
		target, info, _ := strings.Cut(value, "|")
		files = append(files, File{Name: fmt.Sprintf("%s/fd/%d", name, number), Link: target},
			File{Name: fmt.Sprintf("%s/fdinfo/%d", name, number), Mode: 0o444, Data: "pos:\t0\n" + strings.ReplaceAll(strings.ReplaceAll(info, ";", "\n"), "_", "\t")})
		number++
	}
	stat := strings.Fields(strings.Repeat("0 ", 50))
	stat[0], stat[1], stat[19], stat[37], stat[38] = "S", p["ppid"], p["start"], p["priority"], p["policy"]
	return append(files,
		File{Name: name + "/stat", Mode: 0o444, Data: fmt.Sprintf("%s (%s) %s\n", path.Base(name), p["comm"], strings.Join(stat, " "))},
		File{Name: name + "/status", Mode: 0o444, Data: fmt.Sprintf("Name:\t%s\nUid:\t%s\t%[2]s\t%[2]s\t%[2]s\nGid:\t%s\t%[3]s\t%[3]s\t%[3]s\n", p["comm"], p["uid"], p["gid"])},
		File{Name: name + "/cgroup", Mode: 0o444, Data: "0::" + p["cgroup"] + "\n"},
		File{Name: name + "/environ", Mode: 0o400, Data: "SECRET=" + p["comm"] + "\x00"},
		File{Name: name + "/cmdline", Mode: 0o444, Data: p["comm"] + "\x00--password=hunter2\x00"})
}
