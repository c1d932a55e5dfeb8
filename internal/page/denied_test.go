package page

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ivtd/ivt/internal/picture"
	"github.com/ivtd/ivt/irq"
)

// lockedOut is the feed of somebody whom ivtd's socket does not let in. Tests are often root, whom every socket lets in, so the
// refusal is made up.
type lockedOut struct{ *Machine }

func (l lockedOut) Picture(ctx context.Context) (*picture.Picture, error) {
	p, err := l.Machine.Picture(ctx)
	if err == nil {
		p.Blind = append(p.Blind, picture.Unseen(&irq.Error{Code: irq.ErrAccessDenied, Detail: "the socket /s does not let this user in"}))
	}
	return p, err
}

// TestPageSaysWhoIsNotLetIn: an ivtd that is there is not taken for none.
func TestPageSaysWhoIsNotLetIn(t *testing.T) {
	m := live(t, "")
	m.Alone = true
	tab, address := open(t, lockedOut{m})
	do(t, tab, "load", chromedp.Navigate(address))
	until(t, tab, "a picture", `document.body.dataset.frames > 0`)
	if n := ask[string](t, tab, `document.querySelector('#standing').textContent`); !strings.Contains(n, "ivtd: the socket /s does not let this user in") {
		t.Errorf("it says %q", n)
	}
}
