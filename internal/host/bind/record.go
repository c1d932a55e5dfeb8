package bind

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// A record is what a function had before Bind; it lives in /run, so a boot forgets it.
type record struct {
	Address  string `json:"address"`
	Vendor   string `json:"vendor"`
	Product  string `json:"product"`
	Previous string `json:"previous"` // driver, "" if none
	Override string `json:"override"`
	Driver   string `json:"driver"` // that it was given to
}

func recordPath(address string) string { return "/run/ivt/bind/" + address + ".json" }

func recordText(d Device, driver string) string {
	text, _ := json.Marshal(record{d.Address, d.Vendor, d.Product, d.Driver, d.Override, driver})
	return string(text) + "\n"
}

// record returns what was kept of a function, nil if nothing was or it is of another one that now has its place.
func (m *machine) record(d Device) *record {
	var r record
	err := json.Unmarshal([]byte(m.text(recordPath(d.Address))), &r)
	if err != nil || r.Address != d.Address || r.Vendor != d.Vendor || r.Product != d.Product ||
		r.Previous != "" && !driverForm().MatchString(r.Previous) || r.Override != "" && !driverForm().MatchString(r.Override) {
		return nil
	}
	return &r
}

// rulePath is the udev rule of a function. It sorts before 80-drivers.rules, which loads drivers.
func rulePath(address string) string { return "/etc/udev/rules.d/70-ivt-" + address + ".rules" }

// ruleText writes the rule. It names the kind of function too, so that another card in the same slot is left alone. The
// function's own driver may be there before the rule is: built in, from the initramfs, or loaded for another card of the
// kind. It is taken from it, but for disks: what the initramfs mounted is not torn away.
func ruleText(d Device, driver string) string {
	take := fmt.Sprintf("echo %[1]s > /sys/bus/pci/devices/%[1]s/driver/unbind; ", d.Address)
	if strings.HasPrefix(d.Class, "0x01") {
		take = ""
	}
	return fmt.Sprintf(`# Written by ivt bind --persist; ivt unbind --persist %[1]s removes it.
ACTION=="add", SUBSYSTEM=="pci", KERNEL=="%[1]s", ATTR{vendor}=="%[2]s", ATTR{device}=="%[3]s", ATTR{driver_override}="%[4]s", RUN{builtin}+="kmod load %[4]s", RUN+="/bin/sh -c 'test -e /sys/bus/pci/drivers/%[4]s/%[1]s || { %[5]secho %[1]s > /sys/bus/pci/drivers_probe; }'"
`, d.Address, d.Vendor, d.Product, driver, take)
}

// fileStep writes a file of ours, and undoes to what was there.
func (m *machine) fileStep(what, path, text string) Step {
	s := Step{What: what, Path: path, Value: text, Kind: Create, Undo: &Step{What: "remove it", Path: path, Kind: Remove}}
	if old, err := os.ReadFile(m.path(path)); err == nil {
		s.Undo = &Step{What: "restore it", Path: path, Value: string(old), Kind: Create}
	}
	return s
}

// removeStep removes a file of ours, and undoes to what was there.
func (m *machine) removeStep(what, path string) Step {
	old, _ := os.ReadFile(m.path(path))
	return Step{What: what, Path: path, Kind: Remove, Undo: &Step{What: "restore it", Path: path, Value: string(old), Kind: Create}}
}
