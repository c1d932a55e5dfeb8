//go:build linux

package varlink

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// What was encoded once goes to many callers, in order, alone or with others, and is held against the interface.
func TestPrepared(t *testing.T) {
	const text = "interface org.example.many\nmethod Count() -> (n: int, of: ?string)\n"
	long := strings.Repeat("x", 300<<10) // more than a socket has room for
	var prepared []Prepared
	for n := range 5 {
		p, err := Prepare(map[string]any{"n": n, "of": long[:1+n*60<<10]})
		if err != nil {
			t.Fatal(err)
		}
		prepared = append(prepared, p)
	}
	wrong, err := Prepare(map[string]string{"m": "no such member"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare([]int{1}); err == nil {
		t.Error("parameters that are no object were encoded")
	}
	s := &Server{CheckReplies: true}
	checked := make(chan error, 3)
	err = s.Register(text, map[string]Handler{"Count": func(c *Call) error {
		checked <- c.ContinueWith(wrong)
		if err := errors.Join(c.Continue(map[string]int{"n": -1}), c.ContinueWith(prepared[:1]...), c.ContinueWith(prepared[1:]...)); err != nil {
			return err
		}
		return c.Reply(map[string]int{"n": 5})
	}})
	if err != nil {
		t.Fatal(err)
	}
	address := run(t, s)
	for range 2 {
		stream, err := dial(t, address).More(bounded(t), "org.example.many.Count", nil)
		if err != nil {
			t.Fatal(err)
		}
		var got, lengths []int
		for reply, err := range Replies[struct {
			N  int
			Of string
		}](stream) {
			if err != nil {
				t.Fatal(err)
			}
			got, lengths = append(got, reply.N), append(lengths, len(reply.Of))
		}
		if !slices.Equal(got, []int{-1, 0, 1, 2, 3, 4, 5}) || lengths[5] != prepared[4].Len()-len(`{"parameters":{"n":4,"of":""},"continues":true}`)-1 {
			t.Errorf("replies %v of %v bytes", got, lengths)
		}
		if <-checked == nil {
			t.Error("a reply that the interface does not have was sent")
		}
	}
	if err := dial(t, address).Call(bounded(t), "org.example.many.Count", nil, nil); err == nil {
		t.Error("several replies to a call that takes one")
	}
}
