package main

import "testing"

func TestKernelLine(t *testing.T) {
	for record, want := range map[string]string{
		"4,629,1234567,-;irq 21: nobody cared\n SUBSYSTEM=pci\n": "[    1.234567] irq 21: nobody cared",
		"15,1,98765432100,c;x": "[98765.432100] x",
		"garbage":              "",
		"a;b":                  "b",
	} {
		if got := kernelLine(record); got != want {
			t.Errorf("%q: %q, want %q", record, got, want)
		}
	}
}
