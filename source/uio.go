//go:build linux

package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ivtd/ivt/internal/kernel"
	"github.com/ivtd/ivt/irq"
)

func init() { Register(uioScheme{}) }

// uioScheme makes sources of UIO devices (Documentation/driver-api/uio-howto.rst). Any number of processes may open one,
// each sees every interrupt, and the first to close clears Bus Master for all: so ivtd is to be the only opener, and
// gives streams.
//
// Settings: trigger (edge or level; default level where the interrupt can be enabled again, by irqcontrol or, with
// uio_pci_generic, in configuration space), shareable (default true).
type uioScheme struct{}

func (uioScheme) Name() string { return "uio" }

const uioClass = "sys/class/uio"

// Discover lists every UIO device.
func (uioScheme) Discover(context.Context) ([]Found, error) { return discoverUIO("/") }

func discoverUIO(root string) (found []Found, err error) {
	entries, err := os.ReadDir(filepath.Join(root, uioClass))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no UIO driver is loaded
	}
	if err != nil {
		return nil, fmt.Errorf("list UIO devices: %w", err)
	}
	for _, e := range entries {
		dir := filepath.Join(root, uioClass, e.Name())
		attrs := map[string]string{"name": readWord(dir, "name"), "driver": linkName(filepath.Join(dir, "device"), "driver")}
		for _, key := range []string{"vendor", "device", "class"} {
			if text := readWord(filepath.Join(dir, "device"), key); text != "" {
				attrs[key] = strings.TrimPrefix(text, "0x")
			}
		}
		path, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue // it has just gone
		}
		found = append(found, Found{Name: "uio:" + e.Name(), Path: path, Attrs: attrs})
	}
	return found, nil
}

// readWord returns what a file of sysfs says, "" if it cannot be read.
func readWord(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

type uioSettings struct {
	trigger   string
	shareable bool
}

func readUIOSettings(c Config) (uioSettings, error) {
	s := c.read()
	u := uioSettings{s.word("trigger", "", string(irq.TriggerEdge), string(irq.TriggerLevel)), s.bool("shareable", true)}
	return u, s.err()
}

// Check reads the settings.
func (uioScheme) Check(c Config) error {
	_, err := readUIOSettings(c)
	return err
}

// uio is one UIO device.
type uio struct {
	config    Config
	spec      irq.SourceSpec
	streams   *Streams
	line      *irq.Line
	gone      chan struct{}
	once      sync.Once
	control   string // how its interrupt is enabled: controlDevice, controlPCI or ""
	inherited bool   // from a former process: its holders are taken over before it is read

	mu     sync.Mutex
	fd     int
	key    uint64
	total  *atomic.Uint64 // the kernel's running total, as far as it was passed on
	claims int
}

// keptUIO is the value beside the descriptor.
type keptUIO struct {
	Name     string `json:"name"`
	Instance string `json:"instance"`
	Control  string `json:"control,omitempty"`
}

const uioKey = "uio"

// Open takes a UIO device, or takes over what a former process had of it.
func (uioScheme) Open(_ context.Context, c Config) (Source, error) {
	settings, err := readUIOSettings(c)
	if err != nil {
		return nil, err
	}
	c = c.complete()
	u := &uio{config: c, gone: make(chan struct{}), fd: -1}
	if _, err := os.Stat(u.sysfs()); err != nil || u.device() == "" {
		return nil, &irq.Error{Code: irq.ErrNoSuchDevice, Operation: "open", Name: c.Name, Reason: irq.ReasonNoSuchSource,
			Detail: "there is no such UIO device", Remedies: []string{"ls /sys/class/uio", "ivt bind DEVICE uio_pci_generic"}, Err: err}
	}
	if u.streams, err = NewStreams(c); err != nil {
		return nil, err
	}
	if err := u.start(settings); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// device is the name of the device file: "uio0".
func (u *uio) device() string {
	_, name, _ := strings.Cut(u.config.Name, ":")
	if n, ok := strings.CutPrefix(name, "uio"); !ok || strings.Trim(n, "0123456789") != "" {
		return ""
	}
	return name
}

func (u *uio) sysfs() string { return filepath.Join(u.config.Root, uioClass, u.device()) }
func (u *uio) path() string  { return filepath.Join(u.config.Root, "dev", u.device()) }

// start opens the device. The total is read before: an interrupt in between is then counted, not lost.
func (u *uio) start(settings uioSettings) (err error) {
	if !u.inherit() {
		if err := u.open(); err != nil {
			return err
		}
	}
	group := irq.Group{Count: 1, Trigger: irq.TriggerEdge, Shareable: settings.shareable, Maskable: true, Delivery: irq.DeliveryStream}
	if settings.trigger == string(irq.TriggerLevel) || settings.trigger == "" && u.control != "" {
		group.Trigger = irq.TriggerLevel
	}
	u.spec = irq.SourceSpec{Name: u.config.Name, Instance: u.config.Instance, Groups: []irq.Group{group}, Wiring: u, Protection: "permissions"}
	return nil
}

func (u *uio) open() (err error) {
	seed, _ := strconv.ParseInt(readWord(u.sysfs(), "event"), 10, 64) // an unreadable one is 0: the first interrupt counts too much
	if holders := u.foreign(); len(holders) > 0 {
		return foreignHolds(u.config.Name, u.path(), u.config.Foreign)
	}
	if u.fd, err = kernel.OpenDevice(u.path(), syscall.O_NONBLOCK); err != nil {
		u.fd = -1
		return u.openRefusal(err)
	}
	if _, err := kernel.Read(u.fd, make([]byte, 4)); isErrno(err, syscall.EIO) {
		return &irq.Error{Code: irq.ErrNotSupported, Operation: "open", Name: u.config.Name, Reason: irq.ReasonNotEnoughVectors,
			Detail: "its driver " + readWord(u.sysfs(), "name") + " gives it no interrupt", Remedies: []string{"a driver that polls needs no ivt", "cat /proc/interrupts"}, Err: err}
	}
	if u.control = u.findControl(); u.control == "" && readWord(u.sysfs(), "name") == "uio_pci_generic" {
		return u.deafRefusal()
	}
	value, _ := json.Marshal(keptUIO{readWord(u.sysfs(), "name"), u.config.Instance, u.control}) // texts: cannot fail
	if err := u.config.Keep.Put(uioKey, value, u.fd); err != nil {
		return fmt.Errorf("keep %s: %w", u.path(), err)
	}
	u.total = counterOf(u.config.Keep, uioKey)
	u.total.Store(uint64(uint32(seed)))
	return nil
}

// foreign returns who else has the device open, as far as anybody looks.
func (u *uio) foreign() (others []irq.Holder) {
	for _, h := range u.config.Foreign(u.path()) {
		if h.PID != os.Getpid() && h.Kind == irq.HolderProcess {
			others = append(others, h)
		}
	}
	return others
}

func (u *uio) openRefusal(err error) error {
	e := &irq.Error{Code: irq.ErrAccessDenied, Operation: "open", Name: u.config.Name, Reason: irq.ReasonDenied, Err: err,
		Detail: "the file permissions of " + u.path() + " do not allow it", Remedies: []string{"run ivtd as root", "ls -l " + u.path()}}
	if isErrno(err, syscall.EACCES) || isErrno(err, syscall.EPERM) {
		return e
	}
	return fmt.Errorf("open %s: %w", u.path(), err)
}

// deafRefusal is for uio_pci_generic where its interrupt cannot be enabled again: it would come once, and never more.
func (u *uio) deafRefusal() error {
	config := filepath.Join(u.sysfs(), "device/config")
	return &irq.Error{Code: irq.ErrAccessDenied, Operation: "open", Name: u.config.Name, Reason: irq.ReasonDenied,
		Detail:   "its interrupt is enabled again in " + config + ", which cannot be written",
		Remedies: []string{"chgrp ivtd " + config + "; chmod g+w " + config, "udev rules for ivtd do that: 60-ivtd.rules", "ls -lL " + config}}
}

// inherit takes the device over from a former process, with the total where that one had got to.
func (u *uio) inherit() bool {
	kept, ok := u.streams.take(uioKey)
	var k keptUIO
	if !ok || len(kept.FDs) != 1 || json.Unmarshal(kept.Value, &k) != nil || k.Name != readWord(u.sysfs(), "name") {
		closeAll(kept.FDs)
		return false
	}
	u.config.Instance = k.Instance
	u.fd, u.control, u.total = kept.FDs[0], k.Control, counterOf(u.config.Keep, uioKey)
	u.total.Store(kept.Count)
	u.inherited = true
	return true
}

func (u *uio) Spec() irq.SourceSpec  { return u.spec }
func (u *uio) Gone() <-chan struct{} { return u.gone }
func (u *uio) level() bool           { return u.spec.Groups[0].Trigger == irq.TriggerLevel }

// Attached starts the reading: from now on there is a line to raise. After a restart its holders come first.
func (u *uio) Attached(lines *irq.Source) {
	u.line = lines.Line("", 0)
	if !u.inherited {
		u.listen()
	}
}

func (u *uio) listen() {
	u.mu.Lock()
	defer u.mu.Unlock()
	var err error
	if u.key, err = u.streams.relay.add(u.fd, kernel.EventIn, u); err != nil {
		u.leave() // nothing can be delivered
	}
}

func (u *uio) leave() { u.once.Do(func() { close(u.gone) }) }

// ready passes on how far the total has moved.
func (u *uio) ready(*kernel.Batch, uint32) {
	n, err := u.moved()
	switch {
	case err == nil && n > 0:
		u.line.RaiseInterrupt(irq.Interrupt{Count: uint64(n), Time: kernel.Monotonic()})
	case err != nil && !isErrno(err, syscall.EAGAIN):
		u.mu.Lock()
		u.deafen()
		u.mu.Unlock()
		u.leave() // EIO: the driver has let the device go
	}
}

// moved reads the total, a 32-bit number that wraps.
func (u *uio) moved() (uint32, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.fd < 0 || u.key == 0 {
		return 0, syscall.EAGAIN
	}
	var b [4]byte
	if _, err := kernel.Read(u.fd, b[:]); err != nil {
		return 0, err
	}
	now := nativeUint32(b)
	before := uint32(u.total.Swap(uint64(now)))
	return now - before, nil
}

// deafen takes the device out of the relay.
func (u *uio) deafen() {
	if u.key != 0 {
		u.streams.relay.remove(u.fd, u.key)
		u.key = 0
	}
}

// Wire gives the claim a stream; the first one enables the interrupt.
func (u *uio) Wire(_ context.Context, c irq.Claim) (irq.Handler, error) {
	if err := streamOnly(c); err != nil {
		return nil, err
	}
	handler, err := u.streams.Wire(c, u.level())
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.claims == 0 {
		err = u.enable(true)
	}
	if err != nil {
		u.streams.Unwire(c)
		return nil, err
	}
	u.claims++
	return handler, nil
}

// Adopt takes over a claim of a former process. The interrupt stays as it is.
func (u *uio) Adopt(c irq.Claim) (irq.Handler, error) {
	handler, err := u.streams.Adopt(c, u.level())
	if err == nil {
		u.mu.Lock()
		u.claims++
		u.mu.Unlock()
	}
	return handler, err
}

// Unwire ends the stream; after the last one the interrupt is disabled.
func (u *uio) Unwire(c irq.Claim) error {
	u.streams.Unwire(c)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.claims--; u.claims > 0 {
		return nil
	}
	return u.enable(false)
}

// SetMask disables the interrupt, or enables it again after all have acknowledged.
func (u *uio) SetMask(_ irq.Vector, masked bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.enable(!masked && u.claims > 0)
}

// enable does nothing where the driver has no way to: what is masked is then held back by the line.
func (u *uio) enable(on bool) error {
	if u.control == "" || u.fd < 0 {
		return nil
	}
	err := u.switchInterrupt(on)
	if isErrno(err, syscall.EIO) || isErrno(err, syscall.ENODEV) {
		u.leave()
		return nil // it left, and its interrupt with it
	}
	if err != nil {
		return fmt.Errorf("enable (%t) the interrupt of %s: %w", on, u.config.Name, err)
	}
	return nil
}

func (u *uio) Ring(irq.Vector) error { return nil } // the registry runs the handler

func (u *uio) Descriptors(c irq.Claim) (Descriptors, error) {
	return u.streams.Descriptors(c)
}

// Settle ends what claims left that did not go on after a restart, and passes on what has come meanwhile.
func (u *uio) Settle() error {
	u.streams.Settle()
	if u.inherited {
		u.listen()
	}
	return nil
}

func (u *uio) Doorbell(v irq.Vector, _ irq.Holder) (int, error) { return -1, noDoorbell(v) }

// Raise: the kernel has no self-test for UIO.
func (u *uio) Raise(v irq.Vector, _ uint64) error { return noSelfTest(v) }

// Close lets the device go, with its interrupt disabled.
func (u *uio) Close() error {
	u.mu.Lock()
	u.deafen()
	err := u.enable(false)
	if u.fd >= 0 {
		kernel.Close(u.fd)
		u.fd = -1
		u.config.Keep.Drop(uioKey)
	}
	u.mu.Unlock()
	u.streams.Close()
	return err
}
