package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/test/chaos/witness"
	"github.com/ivtd/ivt/test/vm/guest"
)

const (
	clients = 3
	// As many kills of the worker as fit into the time, but no fewer than that.
	fewest = 2
	length = 5 * time.Second
)

// A chaos is the test's own side.
type chaos struct {
	t       *testing.T
	folder  string
	r       *rand.Rand
	w       *witness.Witness
	client  *ivt.Client
	env     []string
	clients []*exec.Cmd
	next    int
	drivers []driver
	noise   []func() // interrupts of the vectors that clients contend for
	gaps    []time.Duration
	killed  int
}

// A driver is a process that holds one vector, with the hardware's side of it.
type driver struct {
	name  string
	raise func()
}

// TestRule14DevicesUnderChaos: processes contend for device vectors and are killed, as is ivtd's worker, while the devices raise. No vector
// has two holders, no driver loses its vector, and each is woken after the last interrupt, also after one that came while nobody served.
func TestRule14DevicesUnderChaos(t *testing.T) {
	guest.Require(t)
	c := begin(t)
	start := time.Now()
	for n := 0; n < fewest || time.Since(start) < length; n++ {
		c.round()
	}
	c.finish()
	word := func(i int) uint64 { return c.w.Word(i).Load() }
	slices.Sort(c.gaps)
	t.Logf("%d calls, %d grants; killed: worker %d, clients %d; served again after %v, at worst %v; double holders %d, lost connections %d, errors that nobody may see %d",
		word(atCalls), word(atGrants), len(c.gaps), c.killed, c.gaps[len(c.gaps)/2].Round(time.Millisecond), c.gaps[len(c.gaps)-1].Round(time.Millisecond),
		word(witness.Double), word(atLost), word(atFailed))
	if word(witness.Double)+word(atLost)+word(atFailed) > 0 || word(atGrants) == 0 {
		t.Error("what must hold did not")
	}
}

func begin(t *testing.T) *chaos {
	guest.Load(t, "vfio-pci")
	address := map[string]string{}
	for _, id := range []string{"edu0", "edu1", "nic0", "ivshmem0"} {
		address[id] = guest.Device(t, id)
		guest.Bind(t, address[id], "vfio-pci")
	}
	c := &chaos{t: t, folder: t.TempDir(), r: rand.New(rand.NewPCG(1, 2))}
	var err error
	if c.w, err = witness.Open(c.folder + "/witness"); err != nil {
		t.Fatal(err)
	}
	c.env = append(os.Environ(), "IVT_SOCKET="+c.folder+"/s", "CHAOS_WITNESS="+c.folder+"/witness",
		"CHAOS_EDU="+address["edu1"], "CHAOS_NIC="+address["nic0"], "CHAOS_IVSHMEM="+address["ivshmem0"])
	c.serve(address)
	edu, nic := guest.OpenEdu(t, address["edu0"]), guest.OpenE1000e(t, address["nic0"])
	c.drive("pci:"+address["edu0"]+"/msi/0", func() { edu.Raise(1); edu.Ack(1) })
	c.drive("pci:"+address["nic0"]+"/msix/4", func() { nic.Raise(guest.E1000eOther); nic.Ack(guest.E1000eOther) })
	shared := guest.OpenIvshmem(t, address["ivshmem0"])
	for v := range 4 {
		c.noise = append(c.noise, func() { nic.Raise(v); nic.Ack(v) }, func() { shared.Ring(shared.Peer(), uint32(v)) })
	}
	for n := range c.drivers {
		c.woken(n) // it is connected
	}
	for range clients {
		c.add()
	}
	return c
}

// serve starts ivtd with the devices.
func (c *chaos) serve(address map[string]string) {
	policy := ""
	for _, id := range []string{"edu0", "edu1", "nic0", "ivshmem0"} {
		policy += fmt.Sprintf("[[device]]\nmatch = { name = \"pci:%s\" }\n", address[id])
	}
	policy += "[[allow]]\nvectors = [\"pci:*\"]\nuser = \"root\"\n"
	file := filepath.Join(c.folder, "ivtd.toml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		c.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(c.folder, "log"))
	if err != nil {
		c.t.Fatal(err)
	}
	daemon := exec.Command("ivtd", "--socket", c.folder+"/s", "--config", file)
	daemon.Stderr = log
	if err := daemon.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		daemon.Wait()
		if text, _ := os.ReadFile(log.Name()); c.t.Failed() {
			c.t.Logf("ivtd said:\n%s", text)
		}
	})
	if c.client, err = ivt.NewClient(ivt.Socket(c.folder + "/s")); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.client.Close() })
	c.eventually("ivtd answers", func() bool { _, err := c.client.Status(c.t.Context()); return err == nil })
}

// limit is for what must happen at some time, on a machine that is emulated and busy.
const limit = 60 * time.Second

func (c *chaos) eventually(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// process starts this program in a role; it ends with the test.
func (c *chaos) process(role string, more ...string) *exec.Cmd {
	p := exec.Command("/proc/self/exe")
	p.Env = append(append(slices.Clone(c.env), "CHAOS_ROLE="+role), more...)
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { p.Process.Kill(); p.Wait() })
	return p
}

func (c *chaos) drive(vector string, raise func()) {
	n := len(c.drivers)
	c.drivers = append(c.drivers, driver{vector, raise})
	c.w.Word(atRung + n).Store(1)
	c.process("driver", "CHAOS_VECTOR="+vector, fmt.Sprint("CHAOS_NUMBER=", n))
}

func (c *chaos) add() {
	c.next++
	c.clients = append(c.clients, c.process("client", fmt.Sprint("CHAOS_NUMBER=", c.next)))
}

// ring has the hardware raise the interrupt of a driver.
func (c *chaos) ring(n int) {
	c.w.Word(atRung + n).Add(1)
	c.drivers[n].raise()
}

// woken waits until a driver was woken after the last interrupt.
func (c *chaos) woken(n int) {
	c.eventually(c.drivers[n].name+"'s driver is woken after the last interrupt", func() bool {
		return c.w.Word(atSeen+n).Load() >= c.w.Word(atRung+n).Load()
	})
}

// round kills a client and the worker, while the devices raise.
func (c *chaos) round() {
	if c.r.IntN(2) == 0 {
		victim := c.r.IntN(len(c.clients))
		c.clients[victim].Process.Kill()
		c.clients[victim].Wait()
		c.clients = slices.Delete(c.clients, victim, victim+1)
		c.killed++
		c.add()
	}
	until := c.w.Word(atCalls).Load() + uint64(8+c.r.IntN(16))
	c.eventually("clients make calls", func() bool { return c.w.Word(atCalls).Load() >= until })
	s, err := c.client.Status(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for n := range c.drivers {
		c.ring(n)
	}
	for range 20 {
		c.noise[c.r.IntN(len(c.noise))]()
	}
	from := time.Now()
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	c.noise[c.r.IntN(len(c.noise))]()
	for n := range c.drivers { // nobody serves now: the kernel signals the driver's own eventfd
		c.ring(n)
	}
	c.eventually("the next worker serves", func() bool {
		now, err := c.client.Status(c.t.Context())
		return err == nil && now.PID != s.PID
	})
	c.gaps = append(c.gaps, time.Since(from))
	for n := range c.drivers {
		c.woken(n)
		c.ring(n)
		c.woken(n)
	}
}

// finish has the clients let go of all, and looks that nothing is held but by the drivers.
func (c *chaos) finish() {
	c.w.Word(atStop).Store(1)
	for _, p := range c.clients {
		if err := p.Wait(); err != nil {
			c.t.Errorf("a client ended with %v", err)
		}
	}
	c.eventually("all is free again but the drivers' vectors", func() bool {
		s, err := c.client.Status(c.t.Context())
		return err == nil && s.Connections == len(c.drivers)
	})
}
