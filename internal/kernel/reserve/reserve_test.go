package reserve

import (
	"strings"
	"testing"
)

func TestWantedIsAnUpperBound(t *testing.T) {
	for line, want := range map[string]int{
		"":                                          0,
		"ivt list":                                  0,
		"ivt connect soft:demo/3":                   0,
		"ivt connect soft:demo/3 -- true":           9,
		"ivt connect --any 4 soft:demo -- true":     13,
		"ivt connect --any=40 soft:demo -- true":    83,
		"ivt connect a/1 --timeout 99999999 -- x":   most,
		"ivt connect a/1 -- x --any 9999 -- y":      9,
		"ivt connect a/99999999999999999999 -- cmd": most,
	} {
		if got := wanted(strings.Fields(line)); got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}
