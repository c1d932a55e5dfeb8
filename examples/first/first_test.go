package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ivtd/ivt"
)

// TestTheFirstDriverInEachLanguage runs each driver of the README against a real ivtd: it connects, gets three interrupts, and the
// second one on its vector is refused with 763.
func TestTheFirstDriverInEachLanguage(t *testing.T) {
	dir, err := os.MkdirTemp("", "ivt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run(t, "go", "build", "-o", dir, "../../cmd/ivt", "../../cmd/ivtd", ".")
	socket := filepath.Join(dir, "s")
	daemon := exec.Command(filepath.Join(dir, "ivtd"), "--socket", socket)
	daemon.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Process.Signal(os.Interrupt); daemon.Wait() })
	for i, language := range []struct {
		name, tool, cure string
		build            []string
		command          func(vector string) []string
	}{
		{name: "Go", command: func(v string) []string { return []string{filepath.Join(dir, "first"), v} }},
		{name: "Python", tool: "python3", cure: "apt-get install python3", command: func(v string) []string { return []string{"python3", "others/driver.py", v} }},
		{name: "C", tool: "gcc", cure: "apt-get install gcc libc6-dev", build: []string{"gcc", "-Wall", "-Werror", "-o", dir + "/c", "others/driver.c"},
			command: func(v string) []string { return []string{dir + "/ivt", "connect", v, "--", dir + "/c"} }},
		{name: "Rust", tool: "rustc", cure: "apt-get install rustc", build: []string{"rustc", "--edition", "2021", "-o", dir + "/rs", "others/driver.rs"},
			command: func(v string) []string { return []string{dir + "/ivt", "connect", v, "--", dir + "/rs"} }},
	} {
		t.Run(language.name, func(t *testing.T) {
			if _, err := exec.LookPath(language.tool); language.tool != "" && err != nil {
				if os.Getenv("CI") == "true" && language.name != "Rust" { // Rust only if its tools are there
					t.Fatalf("no %s; try: %s", language.tool, language.cure)
				}
				t.Skipf("no %s; try: %s", language.tool, language.cure)
			}
			if language.build != nil {
				run(t, language.build...)
			}
			drive(t, socket, fmt.Sprintf("soft:demo/%d", i), language.command)
		})
	}
}

func drive(t *testing.T, socket, vector string, command func(string) []string) {
	t.Helper()
	client, err := ivt.NewClient(ivt.Socket(socket))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	await(t, func() bool { _, err := client.Status(t.Context()); return err == nil })
	words := command(vector)
	driver := exec.Command(words[0], words[1:]...)
	driver.Env = append(os.Environ(), "IVT_SOCKET="+socket)
	driver.Stderr = os.Stderr
	out, err := driver.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { driver.Process.Kill(); driver.Wait() }()
	await(t, func() bool { v, err := client.Lookup(t.Context(), vector); return err == nil && len(v.Holders) == 1 })
	lines := bufio.NewScanner(out)
	for n := 1; n <= 3; n++ {
		if err := client.Raise(t.Context(), vector, 1); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("interrupt %d count 1", n); !lines.Scan() || lines.Text() != want {
			t.Fatalf("the driver printed %q, want %q", lines.Text(), want)
		}
	}
	second := exec.Command(words[0], words[1:]...)
	second.Env = driver.Env
	text, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(text), "763") {
		t.Errorf("the second one: %v, %s", err, text)
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("waited 20 s")
		}
	}
}

func run(t *testing.T, words ...string) {
	t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}
