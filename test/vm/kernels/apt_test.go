package kernels

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDebianSource(t *testing.T) {
	t.Setenv("IVT_DEBIAN_MIRROR", "")
	const uri = "http://mirror.invalid/debian"
	for _, tt := range []struct {
		name, file, text string
		want             source
	}{
		{"deb822", "debian.sources", `Types: deb
# a comment
URIs: ` + uri + `
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg

Types: deb
URIs: http://security.invalid
Suites: bookworm-security
Components: main
`, source{uri, "/k.gpg"}},
		{"one line", "x.list", "# deb http://no.invalid bookworm main\ndeb [arch=amd64 signed-by=/k.gpg] " + uri + " bookworm main contrib\n", source{uri, "/k.gpg"}},
		{"one line, plain", "../sources.list", "deb-src http://no.invalid bookworm main\ndeb " + uri + " bookworm main # here\n", source{uri, ""}},
		{"disabled", "debian.sources", "Enabled: no\nTypes: deb\nURIs: " + uri + "\nSuites: bookworm\nComponents: main\n", source{}},
		{"another product", "x.list", "deb http://no.invalid bookworm stable\n", source{}},
		{"another suffix", "x.list.save", "deb " + uri + " bookworm main\n", source{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			etc := t.TempDir()
			put(t, filepath.Join(etc, "os-release"), "NAME=x\nVERSION_CODENAME=bookworm\n")
			put(t, filepath.Join(etc, "apt/sources.list.d", tt.file), tt.text)
			got, err := debianSource(etc)
			if got != tt.want || (err == nil) != (tt.want != source{}) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestRenderedSource(t *testing.T) {
	want := "Types: deb\nURIs: u\nSuites: trixie sid\nComponents: main\nSigned-By: k\n"
	if got := (source{"u", "k"}).render([]string{"trixie", "sid"}); got != want {
		t.Errorf("got %q", got)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
