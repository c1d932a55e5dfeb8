//go:build linux

package varlink_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ivtd/ivt/varlink"
)

// A service, and a client that calls it, gets a descriptor, and meets an error.
func Example() {
	const description = `interface org.example.pipes

method Greet(name: string) -> (greeting: string)
method Open(path: string) -> (fileFileDescriptor: int)

error NoSuchFile (path: string)
`
	var server varlink.Server
	err := server.Register(description, map[string]varlink.Handler{
		"Greet": func(c *varlink.Call) error {
			var in struct{ Name string }
			if err := c.Decode(&in); err != nil {
				return err
			}
			return c.Reply(map[string]string{"greeting": "Hello, " + in.Name})
		},
		"Open": func(c *varlink.Call) error {
			var in struct{ Path string }
			if err := errors.Join(c.Plain(), c.Decode(&in)); err != nil {
				return err
			}
			file, err := os.Open(in.Path)
			if err != nil {
				return c.Error("org.example.pipes.NoSuchFile", map[string]string{"path": in.Path})
			}
			defer file.Close()
			return c.Reply(map[string]int{"fileFileDescriptor": 0}, int(file.Fd()))
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	folder, err := os.MkdirTemp("", "varlink")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	address := filepath.Join(folder, "socket")
	listener, err := varlink.Listen(context.Background(), address)
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()

	call(address)

	fmt.Println(server.Shutdown(context.Background()), <-served)
	// Output:
	// Hello, world
	// descriptor of /dev/null
	// org.example.pipes.NoSuchFile {"path":"/none"}
	// true
	// <nil> varlink: the server was closed
}

func call(address string) {
	ctx := context.Background()
	conn, err := varlink.Dial(ctx, "unix:"+address)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	var greeting struct{ Greeting string }
	err = conn.Call(ctx, "org.example.pipes.Greet", map[string]string{"name": "world"}, &greeting)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(greeting.Greeting)

	var opened struct{ FileFileDescriptor int }
	descriptors, err := conn.CallDescriptors(ctx, "org.example.pipes.Open", map[string]string{"path": "/dev/null"}, &opened)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer descriptors.Close()
	file, err := descriptors.File(opened.FileFileDescriptor, "/dev/null")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	fmt.Println("descriptor of", file.Name())

	err = conn.Call(ctx, "org.example.pipes.Open", map[string]string{"path": "/none"}, nil)
	fmt.Println(err)
	fmt.Println(errors.Is(err, &varlink.Error{Name: "org.example.pipes.NoSuchFile"}))
}
