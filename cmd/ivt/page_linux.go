package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ivtd/ivt/internal/page"
)

func (a *app) pageCommand() *cobra.Command {
	port := 0
	var interval time.Duration
	c := &cobra.Command{
		Use:     "page",
		GroupID: groupLook,
		Short:   "the map of vectors and CPUs in a browser, live",
		Long: `Page serves a page on this machine's loopback address, as you: it shows what you may see. The address that it prints has a
random token; who does not have it is refused. Ctrl-C ends it. It works without ivtd and, with --root, on saved machines.
To look from another machine: ssh -L PORT:127.0.0.1:PORT HOST.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if port < 0 || port > 65535 {
				return usageError{errors.New("--port is from 1 to 65535; 0 takes a free one")}
			}
			root, err := a.machine()
			if err != nil {
				return err
			}
			defer root.Close()
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
			if errors.Is(err, syscall.EADDRINUSE) {
				return usageError{fmt.Errorf("port %d is in use; without --port a free one is taken", port)}
			}
			if err != nil {
				return err
			}
			token := page.NewToken()
			address := fmt.Sprintf("http://%s/%s/", l.Addr(), token)
			if a.json {
				err = a.line(map[string]string{"address": address})
			} else {
				_, err = fmt.Fprintf(a.out, "%s\nCtrl-C ends it\n", address)
			}
			if err != nil {
				return err
			}
			feed := &page.Machine{Root: root, Options: a.where(), Alone: a.root != "", Interval: interval}
			defer feed.Close()
			return page.Serve(c.Context(), l, feed, page.Options{Token: token, Interval: interval})
		},
	}
	c.Flags().IntVar(&port, "port", 0, "loopback `port` (default: a free one)")
	c.Flags().DurationVar(&interval, "interval", time.Second, "`time` between two pictures")
	return c
}
