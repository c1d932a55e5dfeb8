//go:build linux

package ivt_test

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/ivtd/ivt"
	"github.com/ivtd/ivt/api"
	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

// Who answers is not known while ivtd is too short of descriptors to say it. That is told as it is: no call goes to a registry
// that may be another one, and no connection is taken for gone. The service is made up: a real one is short at random.
func TestWhoCannotSayWhoAnswersIsNotAnotherRegistry(t *testing.T) {
	short := irq.Error{Code: irq.ErrNoResources, Operation: "status", Reason: irq.ReasonQuota, Detail: "too many open files"}
	var scarce atomic.Bool
	scarce.Store(true)
	s := &varlink.Server{}
	err := s.Register(api.Text, map[string]varlink.Handler{
		"Status": func(c *varlink.Call) error {
			if scarce.Load() {
				return c.Error(api.ErrorName(short.Code), api.FromError(&short))
			}
			return c.Reply(api.StatusOut{Instance: "one"})
		},
		"Disconnect": func(c *varlink.Call) error { return c.Reply(nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	address := filepath.Join(t.TempDir(), "s")
	l, err := varlink.Listen(t.Context(), "unix:"+address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Shutdown(t.Context())
		<-served
	})
	c, err := ivt.NewClient(ivt.Socket(address))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var refusal *irq.Error
	if err := c.Disconnect(t.Context(), "c1", 0); !errors.As(err, &refusal) || refusal.Code != irq.ErrNoResources || refusal.Operation != "disconnect" {
		t.Errorf("while ivtd is short: %v", err)
	}
	scarce.Store(false)
	if err := c.Disconnect(t.Context(), "c1", 0); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
