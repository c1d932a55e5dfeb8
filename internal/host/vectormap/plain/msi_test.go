// Package plain compares the vector map with what the kernel wrote into the devices, on a machine without interrupt
// remapping: there the message data of MSI and MSI-X is the vector, and the address names the CPU.
package plain

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/internal/host/vectormap"
	"github.com/ivtd/ivt/test/vm/guest"
)

//vm:iommu off

// live is the machine that the test runs on.
type live struct{}

func (live) FS() fs.FS  { return os.DirFS("/") }
func (live) Live() bool { return true }

const devices = "/sys/bus/pci/devices"

// target is where a message goes.
type target struct{ CPU, Vector int }

// message decodes an MSI address and data (Intel SDM 3A, 12.11). In logical mode (bit 2), which kernels use on up to eight
// CPUs, the destination is a bit mask of CPUs (flat model, arch/x86/kernel/apic/apic_flat_64.c), else an APIC id.
func message(t *testing.T, low, data uint32, cpus map[int]int) target {
	t.Helper()
	id := int(low >> 12 & 0xff)
	cpu, ok := cpus[id]
	if low&4 != 0 {
		cpu, ok = bits.TrailingZeros(uint(id)), bits.OnesCount(uint(id)) == 1
	}
	if low>>20 != 0xfee || !ok {
		t.Fatalf("message address %#x names no CPU", low)
	}
	return target{cpu, int(data & 0xff)}
}

// apicIDs maps APIC ids to CPU numbers.
func apicIDs(t *testing.T) map[int]int {
	t.Helper()
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	ids, cpu := map[int]int{}, 0
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSpace(value))
		switch strings.TrimSpace(key) {
		case "processor":
			cpu = n
		case "apicid":
			ids[n] = cpu
		}
	}
	return ids
}

// capabilities finds MSI and MSI-X in a device's configuration space.
func capabilities(config []byte) map[byte]int {
	at := map[byte]int{}
	if len(config) < 256 || config[6]&0x10 == 0 {
		return at
	}
	for p := int(config[0x34]); p >= 0x40 && p < 0xfc; p = int(config[p+1]) {
		at[config[p]] = p
	}
	return at
}

// messages reads the targets that the kernel wrote into one device.
func messages(t *testing.T, address string, cpus map[int]int) map[target]bool {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(devices, address, "config"))
	if err != nil {
		t.Fatal(err)
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(config[at:]) }
	targets := map[target]bool{}
	at := capabilities(config)
	if msi := at[5]; msi != 0 && config[msi+2]&1 != 0 {
		data := msi + 8
		if config[msi+2]&0x80 != 0 { // 64-bit address
			data += 4
		}
		targets[message(t, word(msi+4), word(data)&0xffff, cpus)] = true
	}
	if x := at[0x11]; x != 0 && config[x+3]&0x80 != 0 {
		count := int(binary.LittleEndian.Uint16(config[x+2:])&0x7ff) + 1
		table := bar(t, address, int(word(x+4)&7), word(x+4)&^7, 16*count)
		for i := range count {
			entry := table[16*i:]
			// An entry that no interrupt uses, or whose irq is shut down, is masked.
			if binary.LittleEndian.Uint32(entry[12:])&1 == 0 {
				targets[message(t, binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[8:]), cpus)] = true
			}
		}
	}
	return targets
}

// bar reads from a device's memory; the kernel line has iomem=relaxed, else a bound device's could not be mapped.
func bar(t *testing.T, address string, number int, offset uint32, length int) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(devices, address, "resource"+strconv.Itoa(number)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := int64(offset) &^ 4095
	var mapped []byte
	c, err := f.SyscallConn()
	if err == nil {
		c.Control(func(fd uintptr) {
			mapped, err = syscall.Mmap(int(fd), page, int(int64(offset)-page)+length, syscall.PROT_READ, syscall.MAP_SHARED)
		})
	}
	if err != nil {
		t.Fatalf("map BAR %d of %s: %v", number, address, err)
	}
	defer syscall.Munmap(mapped)
	out := make([]byte, 0, length)
	for i := 0; i < length; i += 4 {
		out = binary.LittleEndian.AppendUint32(out, binary.LittleEndian.Uint32(mapped[int64(offset)-page+int64(i):]))
	}
	return out
}

// mapped are the targets of a device's irqs by the map.
func mapped(m *vectormap.Map, address string) map[target]bool {
	targets := map[target]bool{}
	entries, _ := os.ReadDir(filepath.Join(devices, address, "msi_irqs"))
	for _, e := range entries {
		number, _ := strconv.Atoi(e.Name())
		// A vector that nobody started has a masked entry in the device.
		if q := m.IRQ(number); q != nil && q.Vector != 0 && q.Actions != "" {
			targets[target{q.CPU, q.Vector}] = true
		}
	}
	return targets
}

func exact() []vectormap.Method {
	if _, err := os.Stat("/proc/kcore"); err == nil {
		return []vectormap.Method{vectormap.MethodKcore, vectormap.MethodBPF}
	}
	return []vectormap.Method{vectormap.MethodDebugfs}
}

// compare takes a map by each method and holds it against every device. The devices are read before and after: if an
// interrupt completed a move meanwhile, all is read again.
func compare(t *testing.T, when string, readers map[vectormap.Method]*vectormap.Reader) (compared int) {
	t.Helper()
	for method, r := range readers {
		for attempt := 0; ; attempt++ {
			before := allMessages(t)
			m, err := r.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(before, allMessages(t)) && attempt < 20 {
				continue
			}
			for address, want := range before {
				if diff := cmp.Diff(want, sorted(mapped(m, address))); diff != "" {
					t.Errorf("%s, %s, %s: (-device +map)\n%s", when, method, address, diff)
				}
				compared += len(want)
			}
			break
		}
	}
	return compared
}

// allMessages reads the messages of every device.
func allMessages(t *testing.T) map[string][]string {
	t.Helper()
	cpus := apicIDs(t)
	entries, err := os.ReadDir(devices)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, e := range entries {
		all[e.Name()] = sorted(messages(t, e.Name(), cpus))
	}
	return all
}

func sorted(targets map[target]bool) []string {
	all := []string{}
	for _, k := range slices.SortedFunc(maps.Keys(targets), func(a, b target) int { return a.CPU*1000 + a.Vector - b.CPU*1000 - b.Vector }) {
		all = append(all, fmt.Sprintf("CPU %d vector %#x", k.CPU, k.Vector))
	}
	return all
}

// up brings a network interface up, so that its interrupts get vectors, until the test ends.
func up(t *testing.T, name string) {
	t.Helper()
	set := func(state string) {
		if out, err := exec.Command("ip", "link", "set", name, state).CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", name, state, err, out)
		}
	}
	set("up")
	t.Cleanup(func() { set("down") })
}

// The map agrees with the message data that the kernel wrote into the devices, and goes on to while affinities change.
func TestVMAgreesWithMessageData(t *testing.T) {
	guest.Require(t)
	t.Run("with managed irqs", func(t *testing.T) { guest.Load(t, "nvme") }) // the own kernel goes without
	guest.Load(t, "e1000e")
	for _, name := range []string{"eth0", "eth1"} {
		guest.Eventually(t, name+" is there", func() bool { _, err := os.Stat("/sys/class/net/" + name); return err == nil })
	}
	up(t, "eth0")
	readers := map[vectormap.Method]*vectormap.Reader{}
	for _, method := range exact() {
		readers[method] = vectormap.NewReader(live{}, vectormap.Options{Methods: []vectormap.Method{method}})
	}
	n := compare(t, "at rest", readers)
	if n < 4 {
		t.Error("too few devices with messages")
	}
	paths, _ := filepath.Glob("/proc/irq/*/smp_affinity_list")
	for round := range 6 {
		for _, path := range paths {
			_ = os.WriteFile(path, []byte(strconv.Itoa(round%2)), 0) // managed ones refuse
		}
		n += compare(t, fmt.Sprintf("round %d", round), readers)
	}
	t.Logf("%d messages compared", n)
}
