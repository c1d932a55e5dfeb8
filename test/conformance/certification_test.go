//go:build linux

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/varlink"
)

const certification = "org.varlink.certification"

// certifier is the Varlink project's own test of an implementation, from both sides.
func certifier(t *testing.T) string {
	t.Helper()
	return program(t, "varlink-go-certification", "apt-get install varlink-go")
}

// foreignServer runs its server.
func foreignServer(t *testing.T) (address string) {
	t.Helper()
	name := certifier(t)
	address = "unix:" + filepath.Join(t.TempDir(), "socket")
	var said bytes.Buffer
	server := exec.Command(name, "-varlink", address)
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Logf("the server said: %s", said.String())
		}
	})
	return address
}

// dialForeign connects to a server that may not be there yet.
func dialForeign(t *testing.T, address string) *varlink.Conn {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		c, err := varlink.Dial(context.Background(), address)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// certificationText asks the foreign server for the interface, so that nobody's text is copied here.
func certificationText(t *testing.T, c *varlink.Conn) string {
	t.Helper()
	var out struct {
		Description string `json:"description"`
	}
	err := c.Call(context.Background(), "org.varlink.service.GetInterfaceDescription", map[string]string{"interface": certification}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Description
}

type object = map[string]any

// Our client passes their server: each answer is the next call's parameters.
func TestOurClientIsCertified(t *testing.T) {
	c := dialForeign(t, foreignServer(t))
	iface, err := varlink.ParseInterface(certificationText(t, c))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	call := func(method string, in object) object {
		t.Helper()
		var out json.RawMessage
		if err := c.Call(ctx, certification+"."+method, in, &out); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if err := iface.CheckReply(method, out); err != nil {
			t.Errorf("reply of %s: %v", method, err)
		}
		return decodeObject(t, out)
	}

	start := call("Start", nil)
	next := start
	for i := 1; i <= 9; i++ {
		in := maps.Clone(next)
		in["client_id"] = start["client_id"]
		next = call(fmt.Sprintf("Test%02d", i), in)
	}
	next["client_id"] = start["client_id"]
	stream, err := c.More(ctx, certification+".Test10", next)
	if err != nil {
		t.Fatal(err)
	}
	var replies []any
	for reply, err := range varlink.Replies[object](stream) {
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, reply["string"])
	}
	last := object{"client_id": start["client_id"], "last_more_replies": replies}
	if err := c.Oneway(ctx, certification+".Test11", last); err != nil {
		t.Fatal(err)
	}
	if end := call("End", object{"client_id": start["client_id"]}); end["all_ok"] != true {
		t.Errorf("End says %v", end)
	}
}

func decodeObject(t *testing.T, raw json.RawMessage) object {
	t.Helper()
	var out object
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // an int stays one
	if err := decoder.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Their client passes our server.
func TestOurServerIsCertified(t *testing.T) {
	client := certifier(t)
	text := certificationText(t, dialForeign(t, foreignServer(t)))
	c := &certificate{test: t}
	server := &varlink.Server{CheckReplies: true}
	if err := server.Register(text, c.handlers()); err != nil {
		t.Fatal(err)
	}
	address := run(t, server)
	got := execute(t, client, "-client", "-varlink", "unix:"+address)
	if got.status != 0 || !strings.Contains(got.stdout+got.stderr, "End: 'true'") {
		t.Errorf("it did %+v", got)
	}
}

// A certificate is what our server gives and expects back.
type certificate struct {
	test *testing.T
	mu   sync.Mutex
	last object // what the next call has to bring
}

var certificationReplies = []string{
	`{"bool":true}`,
	`{"int":1}`,
	`{"float":1.0}`,
	`{"string":"ping"}`,
	`{"bool":false,"int":2,"float":3.14,"string":"a lot of string"}`,
	`{"struct":{"bool":false,"int":2,"float":3.14,"string":"a lot of string"}}`,
	`{"map":{"foo":"Foo","bar":"Bar"}}`,
	`{"set":{"one":{},"two":{},"three":{}}}`,
	`{"mytype":{"object":{"method":"x","parameters":{"map":{"foo":"Foo"}}},"enum":"two","struct":{"first":1,"second":"2"},
	  "array":["one","two","three"],"dictionary":{"foo":"Foo","bar":"Bar"},"stringset":{"one":{},"two":{}},
	  "nullable":null,"nullable_array_struct":null,
	  "interface":{"foo":[null,{"foo":"foo","bar":"bar"},null,{"one":"foo","two":"bar"}],"anon":{"foo":true,"bar":false}}}}`,
}

func (c *certificate) handlers() map[string]varlink.Handler {
	handlers := map[string]varlink.Handler{
		"Start": func(call *varlink.Call) error {
			return c.reply(call, `{"client_id":"one"}`)
		},
		"Test10": func(call *varlink.Call) error {
			if err := call.Streaming(); err != nil {
				return err
			}
			for n := 1; n < 10; n++ {
				if err := call.Continue(object{"string": fmt.Sprint("Reply ", n)}); err != nil {
					return err
				}
			}
			c.expect(call)
			return c.reply(call, `{"string":"Reply 10"}`)
		},
		"Test11": func(call *varlink.Call) error {
			in := decodeObject(c.test, call.Parameters)
			if !call.Oneway {
				c.test.Error("Test11 was not called oneway")
			}
			if replies, ok := in["last_more_replies"].([]any); !ok || len(replies) != 10 || replies[9] != "Reply 10" {
				c.test.Errorf("Test11 got %v", in)
			}
			return c.reply(call, `{}`)
		},
		"End": func(call *varlink.Call) error { return c.reply(call, `{"all_ok":true}`) },
	}
	for i, reply := range certificationReplies {
		handlers[fmt.Sprintf("Test%02d", i+1)] = func(call *varlink.Call) error {
			if i > 0 {
				c.expect(call)
			}
			return c.reply(call, reply)
		}
	}
	return handlers
}

// reply answers and remembers the answer.
func (c *certificate) reply(call *varlink.Call, text string) error {
	c.mu.Lock()
	c.last = decodeObject(c.test, json.RawMessage(text))
	c.mu.Unlock()
	return call.Reply(json.RawMessage(text))
}

// expect checks that a call brings back what was answered last.
func (c *certificate) expect(call *varlink.Call) {
	got := decodeObject(c.test, call.Parameters)
	if got["client_id"] != "one" {
		c.test.Errorf("%s: client_id is %v", call.Method, got["client_id"])
	}
	delete(got, "client_id")
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(plain(c.last), plain(got)); diff != "" {
		c.test.Errorf("%s (-given +brought back):\n%s", call.Method, diff)
	}
}

// plain writes numbers in one way, and leaves out what is null, which is the same as absent.
func plain(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for name, value := range v {
			if value != nil {
				out[name] = plain(value)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v
		}
		return f
	}
	return v
}
