//go:build linux

package varlink

import (
	"context"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchInterface has the shape of a claim on an interrupt vector: a call that is answered with a
// descriptor and its holder's data, and one that ends it.
const benchInterface = `interface org.example.bench
type Delivery (vector: string, kind: (eventfd, stream), deliveryFileDescriptor: int, unmaskFileDescriptor: ?int)
method Connect(vectors: []string, shared: ?bool, trigger: ?(edge, level), label: ?string, timeoutMilliseconds: ?int)
  -> (connection: string, generation: int, lifelineFileDescriptor: ?int, deliveries: []Delivery, next: ?string)
method Disconnect(connection: string, generation: int) -> ()
`

type benchConnect struct {
	Vectors []string `json:"vectors"`
	Label   string   `json:"label,omitempty"`
}

type benchDelivery struct {
	Vector                 string `json:"vector"`
	Kind                   string `json:"kind"`
	DeliveryFileDescriptor int    `json:"deliveryFileDescriptor"`
}

type benchConnection struct {
	Connection string          `json:"connection"`
	Generation int             `json:"generation"`
	Deliveries []benchDelivery `json:"deliveries"`
}

type benchDisconnect struct {
	Connection string `json:"connection"`
	Generation int    `json:"generation"`
}

// benchServer serves benchInterface without rules.
func benchServer(b *testing.B) *Conn {
	b.Helper()
	fd := eventfds(b, 1)[0]
	var s Server
	err := s.Register(benchInterface, map[string]Handler{
		"Connect": func(c *Call) error {
			var in benchConnect
			if err := c.Plain(); err != nil {
				return err
			}
			if err := c.Decode(&in); err != nil {
				return err
			}
			return c.Reply(benchConnection{"c1", 1, []benchDelivery{{in.Vectors[0], "eventfd", 0}}}, fd)
		},
		"Disconnect": func(c *Call) error {
			var in benchDisconnect
			if err := c.Decode(&in); err != nil {
				return err
			}
			return c.Reply(nil)
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return dial(b, run(b, &s))
}

// connectDisconnect is the pair of calls that is measured.
func connectDisconnect(b *testing.B, c *Conn) {
	var out benchConnection
	ctx := context.Background()
	fds, err := c.CallDescriptors(ctx, "org.example.bench.Connect", benchConnect{Vectors: []string{"soft:demo/3"}, Label: "nic"}, &out)
	if err != nil {
		b.Fatal(err)
	}
	fd, err := fds.Take(out.Deliveries[0].DeliveryFileDescriptor)
	if err != nil {
		b.Fatal(err)
	}
	unix.Close(fd)
	if err := c.Call(ctx, "org.example.bench.Disconnect", benchDisconnect{out.Connection, out.Generation}, nil); err != nil {
		b.Fatal(err)
	}
}

// bareEcho is a Go server that answers each byte with the byte and a descriptor.
func bareEcho(b *testing.B) *net.UnixConn {
	b.Helper()
	address := filepath.Join(b.TempDir(), "s")
	l, err := net.Listen("unix", address)
	if err != nil {
		b.Fatal(err)
	}
	oob := rights(eventfds(b, 1))
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 1)
		for {
			n, _, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(buf, nil)
			if err != nil || n == 0 {
				return
			}
			if _, _, err := conn.(*net.UnixConn).WriteMsgUnix(buf, oob, nil); err != nil {
				return
			}
		}
	}()
	conn, err := net.Dial("unix", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); l.Close(); <-done })
	return conn.(*net.UnixConn)
}

func echoOnce(b *testing.B, conn *net.UnixConn, buf, oob []byte) {
	if _, err := conn.Write(buf); err != nil {
		b.Fatal(err)
	}
	_, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		b.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		b.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		b.Fatal(err)
	}
	unix.Close(fds[0])
}

func BenchmarkBareEcho(b *testing.B) {
	conn := bareEcho(b)
	buf, oob := make([]byte, 1), make([]byte, 64)
	for b.Loop() {
		echoOnce(b, conn, buf, oob)
	}
}

func BenchmarkConnectDisconnect(b *testing.B) {
	c := benchServer(b)
	b.ReportAllocs()
	for b.Loop() {
		connectDisconnect(b, c)
	}
}

// BenchmarkAgainstBareEcho takes both in turns and prints how many bare echoes one connect and
// disconnect costs, as the median of the rounds.
func BenchmarkAgainstBareEcho(b *testing.B) {
	c, conn := benchServer(b), bareEcho(b)
	buf, oob := make([]byte, 1), make([]byte, 64)
	const round = 50
	var ratios []float64
	for b.Loop() {
		start := time.Now()
		for range round {
			echoOnce(b, conn, buf, oob)
		}
		bare := time.Since(start)
		start = time.Now()
		for range round {
			connectDisconnect(b, c)
		}
		ratios = append(ratios, float64(time.Since(start))/float64(bare))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIdleSession prints what a session costs the server that has served one call and waits for
// the next. Its clients are bare descriptors, which cost no Go memory.
func BenchmarkIdleSession(b *testing.B) {
	var s Server
	s.Limits.SessionsPerUser = -1
	if err := s.Register(testInterface, map[string]Handler{"Note": func(c *Call) error { return c.Reply(nil) }}); err != nil {
		b.Fatal(err)
	}
	address := run(b, &s)
	const n = 2000
	fds := make([]int, n)
	for b.Loop() {
		heap, stack := memory()
		for i := range fds {
			fds[i] = bareCall(b, address, request1("Note", "{}"))
		}
		heapNow, stackNow := memory()
		b.ReportMetric(float64(heapNow-heap)/n, "heapB/session")
		b.ReportMetric(float64(stackNow-stack)/n, "stackB/session")
		for _, fd := range fds {
			unix.Close(fd)
		}
		eventually(b, "the end of all sessions", func() bool { return s.Stats().Sessions == 0 })
	}
	b.ReportMetric(0, "ns/op")
}

// bareCall connects, makes one call, and returns the connection.
func bareCall(b *testing.B, address, call string) int {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		b.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte(call)); err != nil {
		b.Fatal(err)
	}
	if _, err := unix.Read(fd, make([]byte, 100)); err != nil {
		b.Fatal(err)
	}
	return fd
}

// memory is what the heap's objects and the stacks take.
func memory() (heap, stack uint64) {
	for range 3 { // stacks shrink by half in each
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse
}
