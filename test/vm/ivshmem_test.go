package vm

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestIvshmemServer reads what QEMU would: version, own id, shared memory, a
// doorbell of each peer's vectors, the own ones last.
func TestIvshmemServer(t *testing.T) {
	s, err := newIvshmemServer(2)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for id, want := range [][]int64{
		{0, 0, -1, 1, 1, 1, 1, 0, 0, 0, 0},
		{0, 1, -1, 0, 0, 0, 0, 1, 1, 1, 1},
	} {
		var got []int64
		var descriptors int
		for range want {
			n, fds := message(t, int(s.files[id].Fd()))
			got = append(got, n)
			descriptors += len(fds)
			closeAll(fds)
		}
		if diff := cmp.Diff(want, got); diff != "" || descriptors != 9 {
			t.Errorf("peer %d got %d descriptors, want 9; %s", id, descriptors, diff)
		}
	}
}

func message(t *testing.T, fd int) (int64, []int) {
	t.Helper()
	var text [8]byte
	control := make([]byte, unix.CmsgSpace(4))
	n, c, _, _, err := unix.Recvmsg(fd, text[:], control, unix.MSG_DONTWAIT)
	if err != nil || n != 8 {
		t.Fatalf("received %d bytes, %v", n, err)
	}
	var fds []int
	messages, err := unix.ParseSocketControlMessage(control[:c])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, got...)
	}
	return int64(binary.LittleEndian.Uint64(text[:])), fds
}
