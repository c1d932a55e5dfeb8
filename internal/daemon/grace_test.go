package daemon

import (
	"testing"
	"time"
)

// TestClockSetBackDuringAGrace: whichever way the clock is set while no worker runs, a grace lasts no longer than it was granted for.
func TestClockSetBackDuringAGrace(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		what           string
		end, now, want time.Time
	}{
		{"none runs", time.Time{}, noon, time.Time{}},
		{"as it was", noon, noon.Add(-time.Minute), noon},
		{"set back by a day", noon, noon.Add(-24 * time.Hour), noon.Add(-24*time.Hour + 10*time.Minute)},
		{"set forward by a day", noon, noon.Add(24 * time.Hour), noon},
	} {
		if got := bounded(c.end, c.now, 10*time.Minute); !got.Equal(c.want) {
			t.Errorf("%s: it ends at %v, want %v", c.what, got, c.want)
		}
	}
}
