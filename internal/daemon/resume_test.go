package daemon

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/ivtd/ivt/irq"
)

// TestRule9ResumptionThatNobodyGets: whose session breaks before the answer comes may ask again, with the token that it has.
func TestRule9ResumptionThatNobodyGets(t *testing.T) {
	d := serve(t, "")
	holder := d.driver()
	held := holder.granted(order{Do: "connect", Vectors: []string{"soft:demo/3"}, Grace: time.Minute})
	holder.kill()
	d.becomes("soft:demo/3", irq.StateOrphaned)
	conn, err := net.Dial("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// An answer with descriptors waits until everything before it was read.
	fmt.Fprintf(conn, "{\"method\":\"org.varlink.service.GetInfo\"}\x00"+
		"{\"method\":\"io.ivtd.interrupts.Resume\",\"parameters\":{\"connection\":%q,\"resumeToken\":%q}}\x00", held.Connection, held.Token)
	d.becomes("soft:demo/3", irq.StateConnected)
	conn.Close()
	d.becomes("soft:demo/3", irq.StateOrphaned)
	c, err := d.client.Resume(t.Context(), held.Connection, held.Token)
	if err != nil {
		t.Fatal(err)
	}
	if c.Generation() != held.Generation+2 || c.Token() == held.Token {
		t.Errorf("resumed as generation %d after %d, token %q after %q", c.Generation(), held.Generation, c.Token(), held.Token)
	}
}
