package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDirectives(t *testing.T) {
	for _, tt := range []struct {
		name, text, err string
		want            directives
	}{
		{name: "none", text: "package x\n"},
		{name: "all", text: `package x
//vm:program ./cmd/ivt ./cmd/ivtd
//vm:file a.service
//vm:host od dd
//vm:python json socket
//vm:kernel own 7
//vm:run ^TestVM
//vm:iommu off
//vm:pins on
//vm:init systemd
`, want: directives{
			programs: []string{"./cmd/ivt", "./cmd/ivtd"}, files: []string{"a.service"},
			hosts: []string{"od", "dd"}, python: []string{"json", "socket"},
			kernels: []string{"own", "7"}, run: "^TestVM", noIOMMU: true, pins: true, init: "systemd",
		}},
		{name: "unknown", text: "package x\n\n//vm:kernle own\n", err: "x_test.go:3: unknown //vm:kernle"},
		{name: "without value", text: "//vm:kernel\n", err: "needs a word and its value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := readDirectives(dir)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(directives{})); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	if d := (directives{kernels: []string{"own"}}); !d.wants("own") || d.wants("6.1") {
		t.Error("kernels are not chosen by name")
	}
}
