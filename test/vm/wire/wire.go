// Package wire is what the VM harness and the init inside the VM say to each
// other: a JSON object a line, both ways, on a virtio-serial port. The kernel's
// console is a plain serial port.
package wire

import (
	"encoding/json"
	"time"
)

// Port is the name of the virtio-serial port.
const Port = "vm.control"

// JobFile is where the initramfs has the [Job].
const JobFile = "/etc/vm.json"

// Socket is where a test inside the VM reaches init, which passes on to the
// harness: a [Frame] a line, each answered by one.
const Socket = "/run/vm.sock"

// Job is what init does.
type Job struct {
	Tests []Test            `json:"tests,omitempty"`
	Shell bool              `json:"shell,omitempty"` // a shell on the console instead of tests
	Init  string            `json:"init,omitempty"`  // becomes process 1, and runs "init run" later
	Load  []string          `json:"load,omitempty"`  // modules that init loads, where the kernel has them
	Env   map[string]string `json:"env,omitempty"`
	// Limit is when a test has to say where it is, since it does not end, and
	// Grace how long it has for that before it is killed. None if it is 0.
	Limit time.Duration `json:"limit,omitempty"`
	Grace time.Duration `json:"grace,omitempty"`
}

// Test is one program to run.
type Test struct {
	Name string   `json:"name"` // the package's import path
	Path string   `json:"path"`
	Dir  string   `json:"dir"` // working folder
	Args []string `json:"args,omitempty"`
}

// Frame is one line. Exactly one of its fields is set, besides ID.
type Frame struct {
	ID int `json:"id,omitempty"` // of a request and its answer

	// From the guest.
	Up     string          `json:"up,omitempty"`     // init runs; uname -r
	Start  string          `json:"start,omitempty"`  // the named test starts
	Out    []byte          `json:"out,omitempty"`    // its output
	Exit   *Exit           `json:"exit,omitempty"`   // it ended
	Kernel string          `json:"kernel,omitempty"` // a line of the kernel log
	Expect string          `json:"expect,omitempty"` // kernel lines that match this are no fault
	QMP    json.RawMessage `json:"qmp,omitempty"`    // a QMP command
	Device string          `json:"device,omitempty"` // asks for the [Device] of an id, or for a list of all with "*"

	// From the harness.
	Dump  bool            `json:"dump,omitempty"` // nothing was heard: the test is to say where it is, and nothing else is to be run
	Reply json.RawMessage `json:"reply,omitempty"`
}

// Exit says how a test ended.
type Exit struct {
	Name   string `json:"name"`
	Status int    `json:"status"`           // as a shell has it: 128 + signal if it was killed
	Millis int64  `json:"millis,omitempty"` // inside the VM
}

// Device is an emulated PCI device.
type Device struct {
	ID      string            `json:"id"`                // "edu0"
	Kind    string            `json:"kind"`              // QEMU's name of the model, "edu"
	Address string            `json:"address,omitempty"` // "0000:00:04.0"; empty while it is unplugged
	Props   map[string]string `json:"props,omitempty"`   // what QMP's device_add takes; not in a list
}
