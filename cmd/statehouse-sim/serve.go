package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"statehouse.dev/statehouse/client/moment"
	"statehouse.dev/statehouse/client/statehousetest"
)

func (a *app) serveCommand() *cobra.Command {
	var o statehousetest.Options
	var start string
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve a Statehouse in memory whose clock moves when it is told, for tests", Args: cobra.NoArgs,
		Long: `serve is a daemon for tests of programs that use Statehouse: the real one, in memory, but
for its clock, which stands still. It prints the address that it listens on. Then it
reads lines from standard input: "advance 1h30m", or 7d, moves the clock and prints the time
at which it stands now, when what became due by then has happened: records have expired,
leases and claims have lapsed. It ends with its input.

The Python SDK starts it for Daemon(clock=...); in Go there is package
client/statehousetest.`,
		Example: "  statehouse-sim serve --clock 2026-01-01T00:00:00Z --listen-addr 127.0.0.1:50051",
		RunE: func(cmd *cobra.Command, _ []string) error {
			at := a.now()
			if start != "" {
				var err error
				if at, err = moment.Parse(start, at); err != nil {
					return failed(exitUsage, "--clock: %v", err)
				}
			}
			o.Clock = statehousetest.NewClock(at)
			return a.serve(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.ListenAddr, "listen-addr", "127.0.0.1:0", "address to listen on; port 0: a free one")
	f.StringVar(&start, "clock", "", "the time at which the clock stands first; otherwise now")
	f.StringVar(&o.Token, "token", "", "a token that every request must carry")
	return cmd
}

func (a *app) serve(ctx context.Context, o statehousetest.Options) error {
	d, err := statehousetest.Run(o)
	if err != nil {
		return failed(exitUsage, "%v", err)
	}
	fmt.Fprintf(a.out, "listening %s\n", d.Address)
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(a.in)
		for in.Scan() {
			lines <- in.Text()
		}
	}()
	for {
		select {
		case line, more := <-lines:
			if !more {
				return d.Stop()
			}
			a.move(o.Clock, line)
		case <-ctx.Done():
			return d.Stop()
		}
	}
}

// move does what a line of the input says.
func (a *app) move(clock *statehousetest.Clock, line string) {
	word, by, _ := strings.Cut(strings.TrimSpace(line), " ")
	d, err := moment.ParseDuration(by)
	if word != "advance" || err != nil {
		fmt.Fprintf(a.out, "error: %q is not advance and a duration, such as 90s or 7d\n", line)
		return
	}
	clock.Advance(d)
	fmt.Fprintln(a.out, clock.Now().UTC().Format(time.RFC3339Nano))
}
