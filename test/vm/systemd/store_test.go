package systemd

//vm:init systemd

import (
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
	"golang.org/x/sys/unix"
)

// TestMain is also the service: it puts one memory file into the descriptor
// store and counts its starts in there.
func TestMain(m *testing.M) {
	if os.Getenv("ROLE") == "service" {
		if err := service(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func service() error {
	fd := 3 // SD_LISTEN_FDS_START
	if os.Getenv("LISTEN_FDS") == "" {
		var err error
		if fd, err = unix.MemfdCreate("starts", 0); err != nil {
			return err
		}
		if err := notify("FDSTORE=1\nFDNAME=starts", fd); err != nil {
			return err
		}
	}
	end, err := unix.Seek(fd, 0, unix.SEEK_END)
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, []byte{'x'}); err != nil {
		return err
	}
	if err := notify(fmt.Sprintf("READY=1\nSTATUS=start %d", end+1)); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	<-stop
	os.Exit(0)
	return nil
}

// notify is sd_pid_notify_with_fds(3).
func notify(state string, fds ...int) error {
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	return unix.Sendmsg(s, []byte(state), unix.UnixRights(fds...), &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0)
}

const unit = `[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
Environment=ROLE=service
ExecStart=%s -test.run=^$
FileDescriptorStoreMax=4
Restart=always
RestartSec=0
NotifyAccess=all
PrivateTmp=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
MemoryDenyWriteExecute=yes
`

func TestTheDescriptorStoreSurvivesRestartAndKill(t *testing.T) {
	guest.Require(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	guest.Unit(t, "store.service", fmt.Sprintf(unit, self))
	guest.Systemctl(t, "start", "store.service")
	guest.Systemctl(t, "restart", "store.service")
	if got := guest.Show(t, "store.service", "StatusText"); got != "start 2" {
		t.Errorf("after a restart the service is in %q, want start 2", got)
	}
	guest.Systemctl(t, "kill", "--signal=KILL", "store.service")
	guest.Eventually(t, "the service starts a third time", func() bool {
		return guest.Show(t, "store.service", "StatusText") == "start 3"
	})
	if got := guest.Show(t, "store.service", "NFileDescriptorStore"); got != "1" {
		t.Errorf("%s descriptors in the store, want 1", got)
	}
}

func TestSystemIsHealthy(t *testing.T) {
	guest.Require(t)
	if failed := guest.Systemctl(t, "--failed", "--plain", "--no-legend", "list-units"); failed != "" {
		t.Errorf("failed units:\n%s", failed)
	}
	t.Log(guest.Systemctl(t, "--version"))
}
