package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ivtd/ivt/test/vm/wire"
)

// line is the connection to the harness. Requests of several tests may be
// under way; answers find theirs by ID.
type line struct {
	tty  *os.File
	test atomic.Int64 // the process that runs, 0 for none
	over atomic.Bool  // the harness has asked for a dump and will end the VM

	mu      sync.Mutex
	last    int
	waiting map[int]chan wire.Frame
}

// openLine opens the port that the harness has the other end of.
func openLine() (*line, error) {
	path, err := port(wire.Port)
	if err != nil {
		return nil, err
	}
	tty, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	l := &line{tty: tty, waiting: map[int]chan wire.Frame{}}
	go l.receive() // until power-off
	return l, nil
}

// port returns the device of the virtio-serial port of that name. The port
// appears a moment after its driver is loaded.
func port(name string) (string, error) {
	for range 1000 {
		ports, _ := filepath.Glob("/sys/class/virtio-ports/*")
		for _, p := range ports {
			text, _ := os.ReadFile(filepath.Join(p, "name"))
			if strings.TrimSpace(string(text)) == name {
				return filepath.Join("/dev", filepath.Base(p)), nil
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", fmt.Errorf("the harness' port %s did not appear", name)
}

func (l *line) send(f wire.Frame) {
	text, err := json.Marshal(f)
	if err != nil {
		fmt.Println("vm:", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tty.Write(append(text, '\n'))
}

// note tells the harness something in the form of a kernel line.
func (l *line) note(text string) { l.send(wire.Frame{Kernel: "vm: " + text}) }

func (l *line) receive() {
	for sc := scanner(l.tty); sc.Scan(); {
		var f wire.Frame
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			fmt.Printf("vm: from the harness: %v: %q\n", err, sc.Text())
			continue
		}
		if f.Dump {
			l.over.Store(true)
			go l.dump() // it sends, and what is sent may have to wait for what is received
			continue
		}
		l.mu.Lock()
		ch := l.waiting[f.ID]
		delete(l.waiting, f.ID)
		l.mu.Unlock()
		if ch != nil {
			ch <- f
		}
	}
}

// ask sends a request and waits for its answer.
func (l *line) ask(f wire.Frame) wire.Frame {
	ch := make(chan wire.Frame, 1)
	l.mu.Lock()
	l.last++
	f.ID = l.last
	l.waiting[f.ID] = ch
	l.mu.Unlock()
	l.send(f)
	return <-ch
}

// serve passes requests of the tests on to the harness.
func (l *line) serve(path string) error {
	os.Remove(path)
	ln, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() { // until power-off
		for {
			c, err := ln.Accept()
			if err != nil {
				fmt.Println("vm:", err)
				return
			}
			go l.session(c)
		}
	}()
	return nil
}

func (l *line) session(c net.Conn) {
	defer c.Close()
	for sc := scanner(c); sc.Scan(); {
		var f wire.Frame
		if err := json.Unmarshal(sc.Bytes(), &f); err != nil {
			fmt.Println("vm: from a test:", err)
			return
		}
		if err := json.NewEncoder(c).Encode(l.ask(f)); err != nil {
			return
		}
	}
}

func scanner(f interface{ Read([]byte) (int, error) }) *bufio.Scanner {
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 64<<10), 16<<20)
	return sc
}
