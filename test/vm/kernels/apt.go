package kernels

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Suites are the Debian suites in which kernels are looked for.
var Suites = []string{"bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid"}

// Apt is a private state of apt: it knows other suites than the machine does
// and never changes the machine.
type Apt struct {
	dir string // lists, cache and sources
}

// NewApt makes the state in dir for suites. The machine's own Debian sources
// are used with the suite replaced; IVT_DEBIAN_MIRROR (an address) takes their
// place on a machine that has none.
func NewApt(dir string, suites ...string) (*Apt, error) {
	source, err := debianSource("/etc")
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	text := source.render(suites)
	return &Apt{dir}, os.WriteFile(filepath.Join(dir, "debian.sources"), []byte(text), 0o644)
}

// Update fetches the package lists of the suites.
func (a *Apt) Update(ctx context.Context) error {
	_, err := a.run(ctx, "", "apt-get", "update", "-qq", "--error-on=any")
	return err
}

// Names lists the names of all packages that start with prefix.
func (a *Apt) Names(ctx context.Context, prefix string) ([]string, error) {
	out, err := a.run(ctx, "", "apt-cache", "pkgnames", prefix)
	return strings.Fields(string(out)), err
}

// Fields returns a field of each package's candidate version, such as Version
// or Size (bytes of the package file).
func (a *Apt) Fields(ctx context.Context, field string, pkgs ...string) ([]string, error) {
	out, err := a.run(ctx, "", "apt-cache", append([]string{"show", "--no-all-versions"}, pkgs...)...)
	if err != nil {
		return nil, err
	}
	var values []string
	for line := range strings.Lines(string(out)) {
		if v, ok := strings.CutPrefix(line, field+": "); ok {
			values = append(values, strings.TrimSpace(v))
		}
	}
	if len(values) != len(pkgs) {
		return nil, fmt.Errorf("packages %v: %d have a field %s", pkgs, len(values), field)
	}
	return values, nil
}

// Version returns the version of a package's candidate, less Debian's revision.
func (a *Apt) Version(ctx context.Context, pkg string) (string, error) {
	v, err := a.Fields(ctx, "Version", pkg)
	if err != nil {
		return "", err
	}
	upstream, _, _ := strings.Cut(v[0], "-")
	return upstream, nil
}

// Closure lists pkgs and what they depend on, recommended packages left out.
func (a *Apt) Closure(ctx context.Context, pkgs ...string) ([]string, error) {
	args := append([]string{"install", "--simulate", "--no-install-recommends"}, pkgs...)
	out, err := a.run(ctx, "", "apt-get", args...)
	var names []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" {
			names = append(names, f[1])
		}
	}
	return names, err
}

// Download fetches packages into the folder to.
func (a *Apt) Download(ctx context.Context, to string, pkgs ...string) error {
	args := append([]string{"download", "-qq", "-o", "APT::Sandbox::User="}, pkgs...)
	_, err := a.run(ctx, to, "apt-get", args...)
	return err
}

func (a *Apt) run(ctx context.Context, dir, tool string, args ...string) ([]byte, error) {
	opts := []string{
		"-o", "Dir::Etc::SourceList=" + filepath.Join(a.dir, "debian.sources"),
		"-o", "Dir::Etc::SourceParts=/dev/null",
		"-o", "Dir::Etc::Preferences=/dev/null", "-o", "Dir::Etc::PreferencesParts=/dev/null",
		"-o", "Dir::State=" + a.dir,
		"-o", "Dir::State::Lists=" + filepath.Join(a.dir, "lists"),
		"-o", "Dir::State::status=/dev/null",
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64",
		"-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
		"-o", "Debug::NoLocking=1",
	}
	cmd := exec.CommandContext(ctx, tool, append(opts, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", tool, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// source is where a Debian machine gets its packages from.
type source struct{ uris, signedBy string }

func (s source) render(suites []string) string {
	text := "Types: deb\nURIs: " + s.uris + "\nSuites: " + strings.Join(suites, " ") + "\nComponents: main\n"
	if s.signedBy != "" {
		text += "Signed-By: " + s.signedBy + "\n"
	}
	return text
}

// debianSource finds the entry for the machine's own release in etc/apt.
func debianSource(etc string) (source, error) {
	if uri := os.Getenv("IVT_DEBIAN_MIRROR"); uri != "" {
		return source{uris: uri}, nil
	}
	codename := releaseField(filepath.Join(etc, "os-release"), "VERSION_CODENAME")
	files, _ := filepath.Glob(filepath.Join(etc, "apt/sources.list.d/*"))
	for _, f := range append(files, filepath.Join(etc, "apt/sources.list")) {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		find := oneLine
		if strings.HasSuffix(f, ".sources") {
			find = stanzas
		} else if !strings.HasSuffix(f, ".list") {
			continue
		}
		if s, ok := find(string(text), codename); ok {
			return s, nil
		}
	}
	return source{}, fmt.Errorf("no Debian source for %q in %s/apt; try: IVT_DEBIAN_MIRROR=ADDRESS", codename, etc)
}

// stanzas reads the deb822 form, see sources.list(5).
func stanzas(text, codename string) (source, bool) {
	for stanza := range strings.SplitSeq(text, "\n\n") {
		f := map[string]string{}
		for line := range strings.Lines(stanza) {
			if k, v, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
				f[k] = strings.TrimSpace(v)
			}
		}
		if f["Enabled"] != "no" && has(f["Types"], "deb") && has(f["Suites"], codename) && has(f["Components"], "main") {
			return source{f["URIs"], f["Signed-By"]}, true
		}
	}
	return source{}, false
}

// oneLine reads the form "deb [signed-by=FILE] URI SUITE COMPONENT...".
func oneLine(text, codename string) (source, bool) {
	for line := range strings.Lines(text) {
		var s source
		line, _, _ = strings.Cut(line, "#")
		if i, j := strings.Index(line, "["), strings.Index(line, "]"); i >= 0 && j > i {
			for opt := range strings.FieldsSeq(line[i+1 : j]) {
				if v, ok := strings.CutPrefix(opt, "signed-by="); ok {
					s.signedBy = v
				}
			}
			line = line[:i] + line[j+1:]
		}
		f := strings.Fields(line)
		if len(f) > 3 && f[0] == "deb" && f[2] == codename && has(strings.Join(f[3:], " "), "main") {
			s.uris = f[1]
			return s, true
		}
	}
	return source{}, false
}

func has(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

func releaseField(file, key string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if v, ok := strings.CutPrefix(sc.Text(), key+"="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}
