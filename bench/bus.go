package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/godbus/dbus/v5"
)

// busConfig is a bus for one user without any other service.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=@PATH@</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`

// bus samples Connect and Disconnect of a service behind a private dbus-daemon.
func (b *bench) bus() (sample, error) {
	address, err := b.busDaemon()
	if err != nil {
		return nil, err
	}
	if _, err := b.start("dbus", nil, "IVT_BENCH_BUS="+address); err != nil {
		return nil, err
	}
	conn, err := dbus.Connect(address)
	if err != nil {
		return nil, err
	}
	b.later(func() { conn.Close() })
	service := conn.Object(busName, busPath)
	return repeat(connectRepeats, func() error {
		var id string
		var fd dbus.UnixFD
		if err := service.Call(busName+".Connect", 0, "soft:bench/7").Store(&id, &fd); err != nil {
			return err
		}
		if err := syscall.Close(int(fd)); err != nil {
			return err
		}
		return service.Call(busName+".Disconnect", 0, id).Err
	}), nil
}

// busDaemon starts dbus-daemon and returns its address.
func (b *bench) busDaemon() (string, error) {
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		return "", skip("no dbus-daemon, try: apt-get install dbus-daemon")
	}
	dir, err := b.folder()
	if err != nil {
		return "", err
	}
	config := dir + "/bus.conf"
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(busConfig, "@PATH@", dir+"/bus")), 0o600); err != nil {
		return "", err
	}
	c := exec.Command(program, "--config-file="+config, "--nofork", "--print-address")
	out, err := c.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := b.startOn(answeringCPU, c); err != nil {
		return "", err
	}
	b.later(func() { c.Process.Kill(); c.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(address), err
}
