package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write puts files into a new folder and returns the path of ivtd.toml there.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "ivtd.toml")
}

// TestProblems: each mistake is reported at its place, in words that say what is right.
func TestProblems(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "[[allow]]\nvectors = [\"soft:*\"]\nuid = 1\nqouta = 3\n", `4:1: unknown key "qouta"; did you mean "quota"?`},
		{"unknown table", "[sofft.demo]\nvectors = 1\n", `1:2: unknown key "sofft"; did you mean "soft"?`},
		{"unknown key far from all", "[limits]\nxyzzy = 1\n", `2:1: unknown key "xyzzy"; here may be ack_deadline, calls_per_user, connections_per_user, doorbells_per_user, grace_max, history, sessions_per_user, vectors_per_request, vectors_per_user, waiting_per_user, watchers_per_user`},
		{"capitals are another key", "[[allow]]\nVectors = [\"soft:*\"]\nuid = 1\n", "2:1: unknown key \"Vectors\"; did you mean \"vectors\"?"},
		{"wrong type", "[soft.demo]\nvectors = \"many\"\n", "2:11: soft.demo.vectors must be a whole number"},
		{"number for a duration", "[limits]\nack_deadline = 5\n", `2:16: limits.ack_deadline must be a duration such as "10s" or "500ms"`},
		{"bad duration", "[limits]\nack_deadline = \"soon\"\n", `2:1: ack_deadline must be a duration such as "10s" or "500ms"`},
		{"several of a kind", "revoke_on_reload = 1\n[limits]\nhistory = true\ngrace_maxx = \"1s\"\n", "1:20: revoke_on_reload must be true or false\n3:11: limits.history must be a whole number\n4:1: unknown key \"grace_maxx\"; did you mean \"grace_max\"?"},
		{"one bracket", "[allow]\nvectors = [\"soft:*\"]\nuid = 1\n", "1:2: [allow] must be written with two brackets, [[allow]]"},
		{"grammar", "[soft.demo\nvectors = 3\n", "1:11: expected ']' to close table name"},
		{"twice", "[limits]\n[limits]\n", "2:2: limits: table limits already exists"},
		{"nobody", "\n[[allow]]\nvectors = [\"soft:*\"]\n", `2:3: an [[allow]] needs whom it is for: unit, user, group, uid, gid or cgroup (user = "*" is everybody)`},
		{"nothing", "[[allow]]\nuid = 3\n", `1:3: an [[allow]] needs vectors = [ … ], patterns such as "pci:0000:3b:00.0/msix/*"`},
		{"pattern of no name", "[[allow]]\nuid = 3\nvectors = [\"soft:*\",\n  \"eth0\"]\n", "4:3: no vector has such a name; write scheme:device/index, with * for anything"},
		{"hostile pattern", "[[allow]]\nuid = 3\nvectors = [\"a:\\u001b[2J\"]\n", "3:12: the pattern has '\\x1b', which no name has"},
		{"hostile key", "\"\\u202e\\u001b\" = 1\n", "1:1: unknown key \"\\u202e\\x1b\""},
		{"no such user", "[[allow]]\nuser = \"nobody-has-this-name\"\nvectors = [\"soft:*\"]\n", `2:1: this machine has no user "nobody-has-this-name"; write uid = NUMBER if that is on purpose`},
		{"access", "[[allow]]\nuid = 3\nvectors = [\"soft:*\"]\naccess = \"irg\"\n", `4:1: access must be one of none, raise, irq, device; did you mean "irq"?`},
		{"quota", "[[allow]]\nuid = 3\nvectors = [\"soft:*\"]\nquota = 0\n", "4:1: quota must be from 1 to 16777216"},
		{"hide and grant", "[[allow]]\nuid = 3\nvectors = [\"soft:*\"]\nhide = true\naccess = \"irq\"\n", `4:1: hide = true grants nothing: leave access out or say "none"`},
		{"device without match", "[[device]]\ninterrupts = \"msix\"\n", "1:3: a [[device]] needs match = { … } with at least one of vendor, device, path, class, driver, name, chip, label"},
		{"device attribute", "[[device]]\nmatch = { vender = \"8086\" }\n", `2:11: unknown attribute "vender"; did you mean "vendor"?`},
		{"interrupt kind", "[[device]]\nmatch = { vendor = \"8086\" }\ninterrupts = \"msi-x\"\n", `3:1: interrupts must be one of msix, msi, intx, auto; did you mean "msix"?`},
		{"doorbell name", "[soft.\"a b\"]\nvectors = 3\n", `1:2: "a b" cannot be the name of a doorbell group: letters, digits and ._-@+ only`},
		{"negative limit", "[limits]\nsessions_per_user = -1\n", "2:1: sessions_per_user must be from 0 (no limit) to 16777216"},
		{"not text", "\xff\xfe", "the file is not UTF-8 text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := write(t, map[string]string{"ivtd.toml": c.text})
			_, err := Load(file, true, 1000)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(strings.ReplaceAll(err.Error(), file+":", ""), "\n ", "\n")
			if !strings.HasPrefix(strings.TrimSpace(got), c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestLoadOrderAndMerge(t *testing.T) {
	file := write(t, map[string]string{
		"ivtd.toml":           "[soft.demo]\nvectors = 8\n[limits]\nhistory = 10\ngrace_max = \"1s\"\n[[allow]]\nvectors = [\"soft:demo/*\"]\nuid = 7\n",
		"ivtd.d/20-b.toml":    "[limits]\nhistory = 30\n",
		"ivtd.d/10-a.toml":    "revoke_on_reload = true\n[limits]\nhistory = 20\n[[device]]\nmatch = { vendor = \"0x8086\" }\nbudget = 5\n\n[[allow]]\nvectors = [\"pci:*\"]\nuser = \"root\"\nquota = 4\n",
		"ivtd.d/.hidden.toml": "nonsense",
		"ivtd.d/readme.txt":   "nonsense",
	})
	p, err := Load(file, true, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if p.Limits.History != 30 || p.Limits.GraceMax.String() != "1s" || !p.RevokeOnReload {
		t.Errorf("limits %+v, revoke %v", p.Limits, p.RevokeOnReload)
	}
	var rules []string
	for _, r := range p.Rules {
		rules = append(rules, strings.ReplaceAll(r.Rule.String(), filepath.Dir(file), ""))
	}
	want := []string{
		`[[allow]] vectors = ["soft:demo/*"], uid = 7, access = "irq" (/ivtd.toml:6)`,
		`[[allow]] vectors = ["pci:*"], user = "root", access = "irq", quota = 4 (/ivtd.d/10-a.toml:8)`,
		"built in: soft:* for ivtd's own user, uid 1000",
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Error(diff)
	}
	if len(p.Devices) != 1 || p.Devices[0].Settings["budget"] != 5 || p.Devices[0].Rule.Line != 4 {
		t.Errorf("devices %+v", p.Devices)
	}
}

func TestSameDoorbellsTwice(t *testing.T) {
	file := write(t, map[string]string{"ivtd.toml": "[soft.demo]\nvectors = 8\n", "ivtd.d/a.toml": "\n[soft.demo]\nvectors = 9\n"})
	_, err := Load(file, true, 0)
	if err == nil || !strings.Contains(err.Error(), "a.toml:2:2: soft.demo is there already, in "+file+":1") {
		t.Errorf("got %v", err)
	}
}

func TestEveryFileIsReported(t *testing.T) {
	file := write(t, map[string]string{"ivtd.toml": "a = 1\n", "ivtd.d/a.toml": "b = 1\n", "ivtd.d/b.toml/x": ""})
	_, err := Load(file, true, 0)
	if ps, ok := err.(Problems); !ok || len(ps) != 3 {
		t.Errorf("got %v", err)
	}
}

func TestNoFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "ivtd.toml")
	if _, err := Load(missing, true, 0); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a file that was asked for: %v", err)
	}
	p, err := Load(missing, false, 1000)
	if err != nil || len(p.Softs) != 1 || p.Softs[0].Name != "soft:demo" || p.Softs[0].Settings["vectors"] != 64 {
		t.Errorf("%+v, %v", p, err)
	}
}
