//go:build linux

package varlink

import (
	"errors"
	"path/filepath"
	"testing"
)

// Who comes and leaves without a word costs no session, however many they are; who said something first is heard, and who stays is
// served.
func TestMutePeersGetNoSession(t *testing.T) {
	b := serve(t, nil)
	address := filepath.Join(t.TempDir(), "s")
	l, err := Listen(t.Context(), address) // which the server is given when they have come
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * manyNuisances {
		dialRaw(t, address).Close()
	}
	last := dialRaw(t, address)
	last.send(`{"method":"org.example.test.Note","oneway":true}` + "\x00")
	last.Close()
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	<-b.notes
	echoes(t, dial(t, address))
	if s := b.Stats(); s.Accepted != 2 || s.Refused != 0 {
		t.Errorf("counts: %+v", s)
	}
	if err := b.Shutdown(bounded(t)); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}
