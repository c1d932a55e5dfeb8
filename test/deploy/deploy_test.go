// Package deploy checks what is shipped beside the programs: the units and the example policy.
package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func need(t *testing.T, program, cure string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(cure)
		}
		t.Skip(cure)
	}
}

// TestUnitIsHardened: the exposure that systemd computes is 1.0 at most.
func TestUnitIsHardened(t *testing.T) {
	need(t, "systemd-analyze", "needs systemd-analyze, try: apt-get install systemd")
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=10", "../../deploy/ivtd.service").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`exposure level for ivtd.service: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no score in %s", out)
	}
	score, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil || score > 1.0 {
		t.Errorf("the score is %s, 1.0 is allowed:\n%s", found[1], out)
	}
	t.Logf("exposure %s", found[1])
}

// TestUnitKeepsConnections: what a restart must not do away with.
func TestUnitKeepsConnections(t *testing.T) {
	service, err := os.ReadFile("../../deploy/ivtd.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"StartLimitIntervalSec=0", "RestartSec=0", "Restart=always", "NotifyAccess=all", "Type=notify", "WatchdogSec=30s", "FileDescriptorStoreMax=32000"} {
		if !strings.Contains("\n"+string(service), "\n"+line+"\n") {
			t.Errorf("the unit does not say %s", line)
		}
	}
}

// TestUnitsAreUnderstood: systemd has nothing to say about them but that the program is not installed here.
func TestUnitsAreUnderstood(t *testing.T) {
	need(t, "systemd-analyze", "needs systemd-analyze, try: apt-get install systemd")
	folder := t.TempDir()
	program := filepath.Join(folder, "ivtd")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ivtd.service", "ivtd.socket"} {
		text, err := os.ReadFile("../../deploy/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "/usr/sbin/ivtd", program))
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(folder, "ivtd.service"), filepath.Join(folder, "ivtd.socket")).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, folder) || strings.Contains(line, "ivtd.s") {
			t.Error(strings.TrimSpace(line))
		}
	}
	_ = err // verify fails for units of the machine, too
}

// TestExamplePolicy: the example is right, by the program itself.
func TestExamplePolicy(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ivtd")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/ivtd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, "--system", "--check-config", "--config", "../../deploy/ivtd.toml").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "OK: ") {
		t.Errorf("%v: %s", err, out)
	}
}
