package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compile builds a program in C, with all warnings, and returns it.
func compile(t *testing.T, source string) string {
	t.Helper()
	need(t, "gcc", "gcc")
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(source), ".c"))
	if out, err := exec.Command("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", source, err, out)
	}
	return program
}

// TestDriversCompile: the test VM runs them, this notices at once what it would notice late.
func TestDriversCompile(t *testing.T) {
	t.Run("C", func(t *testing.T) { compile(t, "edu/c/edu-c.c") })
	t.Run("Rust", func(t *testing.T) {
		need(t, "rustc", "rustc")
		rust := exec.Command("rustc", "--edition", "2021", "--emit=metadata", "--out-dir", t.TempDir(), "edu/rust/edu-rust.rs")
		if out, err := rust.CombinedOutput(); err != nil {
			t.Errorf("rustc: %v\n%s", err, out)
		}
	})
}

// TestTheHeader runs a program on ivt.h: interrupts of two vectors, the refusal with its holder, the end that ivtd announces, and
// the program's own.
func TestTheHeader(t *testing.T) {
	program := compile(t, "c/print.c")
	client, env := serve(t)
	raise := func(vector string, n uint64) {
		t.Helper()
		if err := client.Raise(t.Context(), vector, n); err != nil {
			t.Fatal(err)
		}
	}
	first := run(t, client, append(env, "LABEL=left \u00e9 \\ \"door\""), "soft:demo/7", "print", program+" soft:demo/7 soft:demo/8")
	expect(t, first, "connected 2\n")
	raise("soft:demo/7", 3)
	expect(t, first, "soft:demo/7 sequence 1 count 3\n")
	raise("soft:demo/8", 1)
	expect(t, first, "soft:demo/8 sequence 1 count 1\n")

	v, err := client.Lookup(t.Context(), "soft:demo/7")
	if err != nil {
		t.Fatal(err)
	}
	for _, no := range []struct{ name, vectors, want string }{
		{"the second", "soft:demo/8", `connect soft:demo/8: 763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED; soft:demo/8 is held by pid ` +
			itoa(v.Holders[0].PID) + ` (print, uid ` + itoa(os.Getuid()) + `) "left ? \ "door"" since `},
		{"no such vector", "soft:demo/64", "87 ERROR_INVALID_PARAMETER: the source has indexes 0 to 63"},
		{"no name", `'so"ft\'`, `connect so"ft\: 87 ERROR_INVALID_PARAMETER`},
		{"no source", "soft:none/1", "433 ERROR_NO_SUCH_DEVICE"},
		{"no vector", "", "connect: Argument list too long"},
	} {
		t.Run(no.name, func(t *testing.T) {
			c := exec.Command("sh", "-c", program+" "+no.vectors)
			c.Env = env
			out, err := c.CombinedOutput()
			if err == nil || !strings.Contains(string(out), no.want) {
				t.Errorf("%v, it says %q, want %q", err, out, no.want)
			}
		})
	}
	raise("soft:demo/7", 1) // the first missed nothing
	expect(t, first, "soft:demo/7 sequence 2 count 1\n")
	if err := client.Revoke(t.Context(), v.Holders[0].Connection, 0, "for the test"); err != nil {
		t.Fatal(err)
	}
	expect(t, first, "print: 1167 ERROR_DEVICE_NOT_CONNECTED: revoked, ")

	own := run(t, client, append(env, "COUNT=1"), "soft:demo/9", "print", program+" soft:demo/9")
	raise("soft:demo/9", 1)
	expect(t, own, "connected 1\nsoft:demo/9 sequence 1 count 1\ndisconnected\n")

	c := exec.Command(program, "soft:demo/9")
	c.Env = append(env, "IVT_SOCKET=/nowhere")
	if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "/nowhere: No such file or directory") {
		t.Errorf("without ivtd: %v, %s", err, out)
	}
}
