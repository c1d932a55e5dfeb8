package bind

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/irq"
)

const (
	up   = "0x1003\n"
	down = "0x1002\n"
)

func (tr *tree) nic(name, flags string) {
	dir := tr.class(nic, "net/"+name, "net", "", "")
	tr.file(dir+"/flags", flags)
}

// disk adds a disk with one partition.
func (tr *tree) disk() {
	tr.class(disk, "nvme/nvme0", "nvme", "240:0", "nvme0")
	tr.class(disk, "nvme/nvme0/nvme0n1", "block", "259:0", "nvme0n1")
	dir := tr.class(disk, "nvme/nvme0/nvme0n1/nvme0n1p1", "block", "259:1", "nvme0n1p1")
	tr.file(dir+"/partition", "1\n")
	tr.file("/dev/nvme0n1", "")
	tr.file("/dev/nvme0n1p1", "")
}

// mapper puts a logical volume on something.
func (tr *tree) mapper(name, mapped, number string, on ...string) {
	dir := "/sys/devices/virtual/block/" + name
	tr.file(dir+"/dev", number+"\n")
	tr.file(dir+"/dm/name", mapped+"\n")
	tr.file(dir+"/uevent", "DEVNAME="+name+"\n")
	tr.link("/sys/class/block/"+name, dir)
	for _, under := range on {
		tr.dir("/sys/class/block/" + under + "/holders")
		tr.link("/sys/class/block/"+under+"/holders/"+name, dir)
	}
	tr.file("/dev/"+name, "")
	tr.link("/dev/mapper/"+mapped, "/dev/"+name)
}

func (tr *tree) mounted(lines ...string) {
	tr.file("/proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n"+strings.Join(lines, "\n")+"\n")
}

func (tr *tree) process(pid, comm string, files ...string) {
	tr.file("/proc/"+pid+"/comm", comm+"\n")
	tr.dir("/proc/" + pid + "/fd")
	for i, f := range files {
		tr.absolute("/proc/"+pid+"/fd/"+string(rune('3'+i)), f)
	}
}

func TestWhatIsInUse(t *testing.T) {
	for _, c := range []struct {
		name    string
		device  string
		prepare func(tr *tree)
		want    []Use
		note    string
	}{
		{name: "an interface that is down", device: nic, prepare: func(tr *tree) { tr.nic("eth0", down) }},
		{name: "an interface that is up", device: nic, prepare: func(tr *tree) { tr.nic("eth0", up) },
			want: []Use{{UseNetwork, "eth0 is up", "ip link set eth0 down"}}},
		{name: "the default route", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", up)
			tr.file("/proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
		}, want: []Use{{UseNetwork, "eth0 is up and carries the default route", "ip link set eth0 down"}}},
		{name: "a route to somewhere", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", up)
			tr.file("/proc/net/route", "Iface\tDestination\tGateway\neth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
			tr.file("/proc/net/ipv6_route", strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" ffffffff 00000001 00000000 00200200 lo\n")
		}, want: []Use{{UseNetwork, "eth0 is up", "ip link set eth0 down"}}},
		{name: "the default route of IPv6, by a bridge", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", up)
			tr.link("/sys/class/net/eth0/master", "/sys/class/net/br0")
			tr.link("/sys/class/net/eth0/upper_br0", "/sys/class/net/br0")
			tr.file("/proc/net/ipv6_route", strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" 00 fe80"+strings.Repeat("0", 28)+" 00000400 00000001 00000000 00000003 br0\n")
		}, want: []Use{{UseNetwork, "eth0 is part of br0 and carries the default route, by br0", "ip link set eth0 down"}}},
		{name: "an interface in another namespace", device: nic, prepare: func(tr *tree) {}, note: "another network namespace"},
		{name: "a disk that nobody uses", device: disk, prepare: func(tr *tree) { tr.disk() }},
		{name: "a mounted partition", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.mounted(`30 22 259:1 / /srv/my\040files rw - ext4 /dev/nvme0n1p1 rw`)
		}, want: []Use{{UseMount, "/dev/nvme0n1p1 is mounted on /srv/my files", "umount '/srv/my files'"}}},
		{name: "another disk is mounted", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.mounted("30 22 8:1 / / rw - ext4 /dev/sda1 rw")
		}},
		{name: "mounted in the namespace of another process", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.absolute("/proc/self/ns/mnt", "mnt:[1]")
			tr.absolute("/proc/99/ns/mnt", "mnt:[2]")
			tr.file("/proc/99/mountinfo", "30 22 259:1 / /data rw - ext4 /dev/nvme0n1p1 rw\n")
		}, want: []Use{{UseMount, "/dev/nvme0n1p1 is mounted on /data", "umount /data"}}},
		{name: "a root on a logical volume on an encrypted partition, and swap", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.mapper("dm-0", "crypt", "254:0", "nvme0n1p1")
			tr.mapper("dm-1", "vg-root", "254:1", "dm-0")
			tr.mapper("dm-2", "vg-swap", "254:2", "dm-0")
			tr.mounted("30 22 254:1 / / rw - ext4 /dev/mapper/vg-root rw")
			tr.file("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-2 partition 1000 0 -2\n/swapfile file 1000 0 -3\n")
		}, want: []Use{
			{UseMount, "/dev/mapper/vg-root (on nvme0n1p1, dm-0) is mounted on /", ""},
			{UseSwap, "/dev/mapper/vg-swap (on nvme0n1p1, dm-0) is swap", "swapoff /dev/dm-2"}}},
		{name: "a volume that is not mounted", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.mapper("dm-0", "idle", "254:0", "nvme0n1p1")
		}, want: []Use{{UseBlock, "/dev/nvme0n1p1 is part of dm-0", ""}}},
		{name: "btrfs, which has a number of its own", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.mounted("30 22 0:44 /@ /home rw - btrfs /dev/nvme0n1p1 rw")
		}, want: []Use{{UseMount, "/dev/nvme0n1p1 is mounted on /home", "umount /home"}}},
		{name: "btrfs on several disks", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.mounted("30 22 0:44 /@ /home rw - btrfs /dev/sda1 rw")
			tr.dir("/sys/fs/btrfs/6a-7b/devices/nvme0n1p1")
		}, want: []Use{{UseMount, "/dev/nvme0n1p1 is mounted on btrfs 6a-7b", ""}}},
		{name: "NVMe behind a virtual subsystem", device: disk, prepare: func(tr *tree) {
			tr.class(disk, "nvme/nvme0", "nvme", "240:0", "nvme0")
			dir := "/sys/devices/virtual/nvme-subsystem/nvme-subsys0"
			tr.link("/sys/class/nvme-subsystem/nvme-subsys0", dir)
			tr.link(dir+"/nvme0", "/sys/class/nvme/nvme0")
			tr.file(dir+"/nvme0n1/dev", "259:0\n")
			tr.link(dir+"/nvme0n1/subsystem", "/sys/class/block")
			tr.file(dir+"/nvme0n1/nvme0n1p1/dev", "259:1\n")
			tr.file(dir+"/nvme0n1/nvme0n1p1/partition", "1\n")
			tr.mounted("30 22 259:1 / / rw - ext4 /dev/nvme0n1p1 rw")
		}, want: []Use{{UseMount, "/dev/nvme0n1p1 is mounted on /", ""}}},
		{name: "a disk that a process has open", device: disk, prepare: func(tr *tree) {
			tr.disk()
			tr.process("42", "qemu\x1b[2J", "/dev/null", "/dev/nvme0n1", "/dev/nvme0n1")
		}, want: []Use{{UseProcess, "pid 42 (qemu\x1b[2J) has /dev/nvme0n1 open", "end it: kill 42"}}},
		{name: "the serial console", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", down)
			tr.class(nic, "0000:00:06.0:0/0000:00:06.0:0.0/tty/ttyS4", "tty", "4:68", "ttyS4")
			tr.file("/proc/consoles", "ttyS4                -W- (EC   a)    4:68\n")
			tr.process("7", "agetty", "/dev/ttyS4")
		}, want: []Use{{UseConsole, "ttyS4 is the kernel's console", ""}, {UseProcess, "pid 7 (agetty) has /dev/ttyS4 open", "end it: kill 7"}}},
		{name: "a port that is no console", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", down)
			tr.class(nic, "tty/ttyS4", "tty", "4:68", "ttyS4")
			tr.file("/proc/consoles", "ttyS0                -W- (EC   a)    4:64\n")
		}},
		{name: "the screen", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", down)
			tr.class(nic, "graphics/fb0", "graphics", "29:0", "fb0")
			tr.file("/proc/consoles", "tty0                 -WU (EC  p )    4:1\n")
		}, want: []Use{{UseConsole, "fb0 is the screen of the text console", ""}}},
		{name: "virtio console", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", down)
			dir := tr.class(nic, "virtio3", "virtio", "", "")
			tr.link(dir+"/driver", "/sys/bus/virtio/drivers/virtio_console")
			tr.file("/proc/consoles", "hvc0                 -W- (EC   p)  229:0\n")
		}, want: []Use{{UseConsole, "the kernel's console hvc is on it", ""}}},
		{name: "a keyboard and a jack", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", down)
			tr.file(tr.class(nic, "usb1/1-1/input/input5", "input", "", "")+"/name", "Logitech Keyboard\n")
			tr.file(tr.class(nic, "usb1/1-2/input/input6", "input", "", "")+"/name", "HDA Jack\n")
			tr.file("/proc/bus/input/devices", "N: Name=\"Logitech Keyboard\"\nS: Sysfs=/devices/pci0000:00/0000:00:06.0/usb1/1-1/input/input5\nH: Handlers=sysrq kbd event3 leds \n\n"+
				"N: Name=\"HDA Jack\"\nS: Sysfs=/devices/pci0000:00/0000:00:06.0/usb1/1-2/input/input6\nH: Handlers=event4 \n")
		}, want: []Use{{UseInput, `the keyboard "Logitech Keyboard" is on it`, ""}}},
		{name: "virtual functions", device: nic, prepare: func(tr *tree) {
			tr.nic("eth0", down)
			tr.file("/sys/devices/pci0000:00/"+nic+"/sriov_numvfs", "8\n")
		}, want: []Use{{UseVirtual, "its 8 virtual functions are on", "echo 0 > /sys/bus/pci/devices/0000:00:06.0/sriov_numvfs"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := newTree(t)
			tr.device(nic, "0x020000", "e1000e", "4")
			tr.device(disk, "0x010802", "nvme", "5")
			c.prepare(tr)
			p, err := Bind(t.Context(), c.device, Options{Root: tr.root})
			if p == nil {
				t.Fatal(err)
			}
			want := append([]Use{}, c.want...)
			if diff := cmp.Diff(want, p.InUse); diff != "" {
				t.Errorf("in use (-want +got):\n%s", diff)
			}
			if (err != nil) != (len(want) > 0) || err != nil && !errors.Is(err, irq.ErrStillConnected) {
				t.Errorf("error %v", err)
			}
			if notes := strings.Join(p.Notes, "\n"); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q", notes)
			}
			if forced, err := Bind(t.Context(), c.device, Options{Root: tr.root, Force: true}); err != nil || len(forced.InUse) != len(want) {
				t.Errorf("forced: %v", err)
			}
		})
	}
}

// What hangs below another function, as behind a bridge, is not this one's.
func TestOtherFunctionsBelowAreNotLookedAt(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "e1000e", "4")
	tr.nic("eth0", down)
	inner := "/sys/devices/pci0000:00/" + nic + "/0000:01:00.0"
	tr.link(inner+"/subsystem", "/sys/bus/pci")
	tr.file(inner+"/net/eth1/flags", up)
	tr.link(inner+"/net/eth1/subsystem", "/sys/class/net")
	if p, err := Bind(t.Context(), nic, Options{Root: tr.root}); err != nil {
		t.Errorf("%v, %v", p, err)
	}
}

// The process behind a VFIO group keeps the function from being given back.
func TestVFIOGroupIsOpen(t *testing.T) {
	tr := newTree(t)
	tr.device(nic, "0x020000", "vfio-pci", "12")
	tr.file("/sys/devices/pci0000:00/"+nic+"/driver_override", "vfio-pci\n")
	tr.process("4711", "dpdk-testpmd", "/dev/vfio/vfio", "/dev/vfio/12")
	p, err := Unbind(t.Context(), nic, Options{Root: tr.root})
	want := []Use{{UseProcess, "pid 4711 (dpdk-testpmd) has /dev/vfio/12 open", "end it: kill 4711"}}
	if !errors.Is(err, irq.ErrStillConnected) || !cmp.Equal(want, p.InUse) {
		t.Errorf("%v, %+v", err, p.InUse)
	}
	// Forced, it is said that this may take long.
	p, err = Unbind(t.Context(), nic, Options{Root: tr.root, Force: true})
	if err != nil || !strings.Contains(strings.Join(p.Notes, "\n"), "VFIO waits") {
		t.Errorf("%v, %v", err, p.Notes)
	}
}
