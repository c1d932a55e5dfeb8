package main

import (
	"slices"
	"testing"
)

// TestNamedAloneACommandIsTheSame: which others were made makes no difference to one.
func TestNamedAloneACommandIsTheSame(t *testing.T) {
	all := slices.Concat(commonCommands, systemCommands)
	whole := new(app).command(nil)
	if n := len(whole.Commands()); n != len(all) {
		t.Errorf("%d commands of %d", n, len(all))
	}
	for _, n := range all {
		alone, _, err := new(app).command([]string{n.name}).Find([]string{n.name})
		if err != nil {
			t.Fatal(err)
		}
		among, _, err := whole.Find([]string{n.name})
		if err != nil {
			t.Fatal(err)
		}
		if alone.Name() != n.name || alone.UsageString() != among.UsageString() {
			t.Errorf("%s is %s\n%s\namong all it is\n%s", n.name, alone.Name(), alone.UsageString(), among.UsageString())
		}
	}
	if n := len(new(app).command([]string{"list"}).Commands()); n != 1 {
		t.Errorf("list needs %d commands", n)
	}
}
