package main

import (
	"fmt"

	"github.com/ivtd/ivt/test/vm/kmod"
	"github.com/ivtd/ivt/test/vm/monitor"
)

const usage = `vm devices         the emulated devices by id
vm unplug ID       as if somebody pulled it (hot0, hot1, nic1)
vm plug ID         and put it back
vm qmp COMMAND     any command of QEMU's monitor without arguments
vm load MODULE     a driver, such as e1000e
vm poweroff        switch the VM off at once`

func command(args []string) error {
	if len(args) == 0 {
		fmt.Println(usage)
		return nil
	}
	if args[0] == "poweroff" {
		powerOff()
	}
	if args[0] == "devices" {
		return devices()
	}
	if len(args) != 2 {
		return fmt.Errorf("usage:\n%s", usage)
	}
	switch args[0] {
	case "unplug":
		return monitor.DeviceDel(args[1])
	case "plug":
		return monitor.DeviceAdd(args[1])
	case "load":
		return kmod.Load(args[1])
	case "qmp":
		reply, err := monitor.Execute(args[1], nil)
		fmt.Println(string(reply))
		return err
	}
	return fmt.Errorf("unknown %q\n%s", args[0], usage)
}

func devices() error {
	all, err := monitor.Devices()
	for _, d := range all {
		fmt.Printf("%-10s %s  %s\n", d.ID, d.Address, d.Kind)
	}
	return err
}
