package vm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/ivtd/ivt/test/vm/wire"
)

// monitor is QEMU's QMP.
type monitor struct {
	w     io.Writer
	sc    *bufio.Scanner
	ready bool // capabilities are negotiated
}

func newMonitor(f *os.File) *monitor {
	m := &monitor{w: f, sc: bufio.NewScanner(f)}
	m.sc.Buffer(make([]byte, 64<<10), 16<<20)
	return m
}

// execute passes a command on and returns the answer; events are not kept.
func (m *monitor) execute(command json.RawMessage) json.RawMessage {
	if !m.ready {
		m.ask(json.RawMessage(`{"execute":"qmp_capabilities"}`))
		m.ready = true
	}
	return m.ask(command)
}

func (m *monitor) ask(command json.RawMessage) json.RawMessage {
	if _, err := m.w.Write(append(bytes.Clone(command), '\n')); err != nil {
		return qmpError(err.Error())
	}
	for m.sc.Scan() {
		var a struct{ Return, Error json.RawMessage }
		if err := json.Unmarshal(m.sc.Bytes(), &a); err != nil {
			return qmpError(err.Error())
		}
		if a.Return != nil || a.Error != nil {
			return bytes.Clone(m.sc.Bytes())
		}
	}
	return qmpError("QEMU closed its monitor")
}

func qmpError(desc string) json.RawMessage {
	text, _ := json.Marshal(map[string]any{"error": map[string]string{"class": "GenericError", "desc": desc}})
	return text
}

// device answers the guest's question for a device of the table, or for all.
func (m *monitor) device(id string) json.RawMessage {
	at, err := m.addresses()
	if err != nil {
		return qmpError(err.Error())
	}
	var all []wire.Device
	for _, d := range devices {
		w := wire.Device{ID: d.id, Kind: d.driver, Address: at[d.id]}
		if d.id == id {
			w.Props = properties(id)
			text, _ := json.Marshal(w)
			return text
		}
		all = append(all, w)
	}
	if id != "*" {
		return json.RawMessage("null")
	}
	text, _ := json.Marshal(all)
	return text
}

// addresses asks QEMU where the devices are that are plugged in.
func (m *monitor) addresses() (map[string]string, error) {
	var answer struct {
		Return []struct{ Devices []pciDevice }
	}
	if err := json.Unmarshal(m.execute(json.RawMessage(`{"execute":"query-pci"}`)), &answer); err != nil {
		return nil, fmt.Errorf("query-pci: %w", err)
	}
	at := map[string]string{}
	for _, bus := range answer.Return {
		collect(at, bus.Devices)
	}
	return at, nil
}

type pciDevice struct {
	QdevID              string `json:"qdev_id"`
	Bus, Slot, Function int
	PCIBridge           struct{ Devices []pciDevice } `json:"pci_bridge"`
}

func collect(at map[string]string, devices []pciDevice) {
	for _, d := range devices {
		if d.QdevID != "" {
			at[d.QdevID] = fmt.Sprintf("0000:%02x:%02x.%d", d.Bus, d.Slot, d.Function)
		}
		collect(at, d.PCIBridge.Devices)
	}
}
