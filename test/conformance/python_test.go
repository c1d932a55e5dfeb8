//go:build linux

package conformance

import "testing"

// Thirty lines of Python's standard library are a client.
func TestPythonTakesDescriptors(t *testing.T) {
	python := program(t, "python3", "apt-get install python3")
	got := execute(t, python, "testdata/take_fds.py", serve(t), "3")
	want := outcome{stdout: "echo: äöü\nrefused: org.example.conformance.Refused 763\ncounters: 1 2 3\ncounters: 1\n"}
	if got != want {
		t.Errorf("it did %+v\nwant %+v", got, want)
	}
}
