// Package behind is one to run after another that loses the VM.
package behind

import (
	"testing"

	"github.com/ivtd/ivt/test/vm/guest"
)

func TestPasses(t *testing.T) { guest.Require(t) }
