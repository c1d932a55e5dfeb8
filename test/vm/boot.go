package vm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/ivtd/ivt/test/vm/wire"
)

// boot runs the VM until it switches itself off or ctx ends. handle gets what
// the guest says about its tests, in order and one at a time.
func (m *machine) boot(ctx context.Context, log *kernelLog, handle func(wire.Frame)) error {
	if err := m.files(); err != nil {
		return err
	}
	control, controlEnd, err := socketPair("control")
	if err != nil {
		return err
	}
	defer control.Close()
	defer controlEnd.Close()
	mon, monitorEnd, err := socketPair("monitor")
	if err != nil {
		return err
	}
	defer mon.Close()
	defer monitorEnd.Close()
	examiner, examinerEnd, err := socketPair("examiner")
	if err != nil {
		return err
	}
	defer examiner.Close()
	defer examinerEnd.Close()
	ivshmem, err := newIvshmemServer(2)
	if err != nil {
		return err
	}
	defer ivshmem.close()

	cmd := exec.CommandContext(ctx, qemu, m.args()...)
	cmd.ExtraFiles = append([]*os.File{controlEnd, monitorEnd, examinerEnd}, ivshmem.files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	console := &lineWriter{line: log.add}
	cmd.Stdout, cmd.Stderr = console, &stderr
	if m.shell {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	}
	h := &harness{control: control, monitor: newMonitor(mon), log: log, handle: handle}
	cmd.Cancel = func() error {
		if errors.As(context.Cause(ctx), new(silence)) {
			e := &examination{pid: cmd.Process.Pid, harness: h, socket: examiner, monitor: newMonitor(examiner)}
			m.hang = e.run()
		}
		return cmd.Process.Kill()
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w; try: apt-get install qemu-system-x86", err)
	}
	controlEnd.Close()
	monitorEnd.Close()
	examinerEnd.Close()
	var serving sync.WaitGroup
	serving.Go(func() { h.serve() })
	host, ended := &starvation{pid: cmd.Process.Pid}, make(chan struct{})
	serving.Go(func() { host.watch(ended) })
	log.blame(host.starved)
	err = cmd.Wait()
	close(ended)
	log.add(string(console.rest))
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	serving.Wait() // QEMU's ends are closed now, so it comes to an end
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("QEMU: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return h.err
}

// harness answers the guest.
type harness struct {
	control *os.File
	monitor *monitor
	log     *kernelLog
	handle  func(wire.Frame)
	heard   atomic.Int64 // frames of the guest
	err     error
}

func (h *harness) serve() {
	sc := bufio.NewScanner(h.control)
	sc.Buffer(make([]byte, 64<<10), 16<<20)
	for sc.Scan() {
		h.heard.Add(1)
		var f wire.Frame
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			h.log.add(fmt.Sprintf("vm: the guest sent %q: %v", sc.Text(), err))
			continue
		}
		if f.ID != 0 {
			h.answer(f)
		} else if f.Kernel != "" {
			h.log.add(f.Kernel)
		} else {
			h.handle(f)
		}
	}
	if err := sc.Err(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		h.err = fmt.Errorf("control line: %w", err)
	}
}

func (h *harness) answer(f wire.Frame) {
	reply := wire.Frame{ID: f.ID}
	switch {
	case f.QMP != nil:
		reply.Reply = h.monitor.execute(f.QMP)
	case f.Device != "":
		reply.Reply = h.monitor.device(f.Device)
	case f.Expect != "":
		if err := h.log.expect(f.Expect); err != nil {
			h.log.add("vm: " + err.Error())
		}
		reply.Reply = json.RawMessage("{}")
	}
	text, err := json.Marshal(reply)
	if err == nil {
		_, err = h.control.Write(append(text, '\n'))
	}
	if err != nil {
		h.log.add("vm: answer the guest: " + err.Error())
	}
}

// lineWriter calls line for each line written.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		w.line(string(w.rest[:i]))
		w.rest = w.rest[i+1:]
	}
}
