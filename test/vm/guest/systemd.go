package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Unit installs a systemd unit for the length of the test; its package needs
// //vm:init systemd.
func Unit(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join("/etc/systemd/system", name)
	must(t, os.WriteFile(path, []byte(text), 0o644))
	Systemctl(t, "daemon-reload")
	t.Cleanup(func() {
		exec.Command("systemctl", "stop", name).Run() // the test may have stopped it
		exec.Command("systemctl", "reset-failed", name).Run()
		os.Remove(path)
		Systemctl(t, "daemon-reload")
	})
}

// Systemctl runs systemctl and returns what it printed; a failure fails the
// test with that and, for start and restart, the unit's journal.
func Systemctl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		journal := ""
		if len(args) > 1 {
			journal = Journal(args[len(args)-1])
		}
		t.Fatalf("systemctl %s: %v\n%s%s", strings.Join(args, " "), err, out, journal)
	}
	return strings.TrimSpace(string(out))
}

// Show returns a property of a unit, such as MainPID or NFileDescriptorStore.
func Show(t testing.TB, unit, property string) string {
	t.Helper()
	return Systemctl(t, "show", "--value", "--property="+property, unit)
}

// Journal returns what a unit logged.
func Journal(unit string) string {
	out, _ := exec.Command("journalctl", "--no-pager", "--output=cat", "--unit="+unit).CombinedOutput()
	return string(out)
}
