package daemon

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be a driver: a process of its own, which can be killed, stopped and forked.
func TestMain(m *testing.M) {
	if role := os.Getenv("IVT_TEST_ROLE"); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// roles are what the test binary can be.
var roles = map[string]func() error{"driver": driver, "squatter": squatter, "crowd": crowd}
