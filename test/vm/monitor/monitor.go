// Package monitor reaches QEMU's monitor (QMP) and the harness from inside the
// test VM. Tests use it through package guest.
package monitor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/ivtd/ivt/test/vm/wire"
)

// Execute runs a QMP command and returns what it returns. arguments is anything
// that marshals to a JSON object, or nil.
func Execute(command string, arguments any) (json.RawMessage, error) {
	type request struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}
	text, err := json.Marshal(request{command, arguments})
	if err != nil {
		return nil, err
	}
	reply, err := ask(wire.Frame{QMP: text})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Return json.RawMessage
		Error  *struct{ Class, Desc string }
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return nil, fmt.Errorf("QMP %s: %w", command, err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("QMP %s: %s", command, answer.Error.Desc)
	}
	return answer.Return, nil
}

// Expect tells the harness that kernel lines which match the regular
// expression are no fault.
func Expect(expr string) error {
	_, err := ask(wire.Frame{Expect: expr})
	return err
}

// ErrUnknownDevice means that the machine has no device of that id.
var ErrUnknownDevice = errors.New("no such device in the VM's table")

// Device returns a device of the VM's table by its id.
func Device(id string) (wire.Device, error) {
	var d *wire.Device
	if err := device(id, &d); err != nil {
		return wire.Device{}, err
	}
	if d == nil {
		return wire.Device{}, fmt.Errorf("%s: %w", id, ErrUnknownDevice)
	}
	return *d, nil
}

// Devices lists the VM's table.
func Devices() (all []wire.Device, err error) { return all, device("*", &all) }

func device(id string, into any) error {
	reply, err := ask(wire.Frame{Device: id})
	if err != nil {
		return err
	}
	return json.Unmarshal(reply, into)
}

// DeviceAdd plugs a device of the VM's table in again.
func DeviceAdd(id string) error {
	d, err := Device(id)
	if err != nil {
		return err
	}
	_, err = Execute("device_add", d.Props)
	return err
}

// DeviceDel asks the guest kernel to let go of a device, as its eject button
// does. It is gone when [Device] has no address for it, which takes as long as
// the driver does.
func DeviceDel(id string) error {
	_, err := Execute("device_del", map[string]string{"id": id})
	return err
}

var mu sync.Mutex // one question at a time from this process

func ask(f wire.Frame) (json.RawMessage, error) {
	mu.Lock()
	defer mu.Unlock()
	c, err := net.Dial("unix", wire.Socket)
	if err != nil {
		return nil, fmt.Errorf("reach the VM harness: %w", err)
	}
	defer c.Close()
	if err := json.NewEncoder(c).Encode(f); err != nil {
		return nil, err
	}
	var answer wire.Frame
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the VM harness did not answer: %w", err)
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, err
	}
	return answer.Reply, nil
}
